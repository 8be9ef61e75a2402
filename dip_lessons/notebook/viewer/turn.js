// A canvas whose picture is turned with the pointer or the arrow keys, and zoomed with the wheel or + and −.
//
// start, [low, high] of fov: {yaw, pitch, fov} in degrees. sweep(view): degrees for a drag across the whole canvas.
// draw(view, width, height, pixels): fills RGBA bytes.
function turn({start, fov, label}, sweep, draw) {
  const canvas = document.querySelector("canvas"), hint = document.querySelector("p");
  const context = canvas.getContext("2d"), view = {...start};
  let held = null, asked = 0, rest = 0;
  canvas.setAttribute("aria-label", label);

  function paint(density) {
    cancelAnimationFrame(asked); // or a coarse picture that was asked for earlier might come after the fine one
    asked = 0;
    canvas.width = Math.max(1, Math.round(canvas.clientWidth * density));
    canvas.height = Math.max(1, Math.round(canvas.clientHeight * density));
    const picture = context.createImageData(canvas.width, canvas.height);
    draw(view, canvas.width, canvas.height, picture.data);
    context.putImageData(picture, 0, 0);
    canvas.dataset.state = density > 1 ? "rests" : "moves";
  }

  function change(yaw, pitch, zoom = 1) { // coarse while it moves, two by two samples a pixel when it rests
    view.yaw += yaw;
    view.pitch = Math.min(90, Math.max(-90, view.pitch + pitch));
    view.fov = Math.min(fov[1], Math.max(fov[0], view.fov * zoom));
    hint.hidden = true;
    canvas.dataset.state = "moves";
    asked ||= requestAnimationFrame(() => paint(1));
    clearTimeout(rest);
    rest = setTimeout(() => paint(2), 150);
  }

  canvas.onpointerdown = event => { held = event; canvas.focus(); canvas.setPointerCapture(event.pointerId); };
  canvas.onpointerup = canvas.onpointercancel = () => { held = null; };
  canvas.onpointermove = event => {
    if (!held || event.pointerId !== held.pointerId) return;
    const degrees = sweep(view) / canvas.clientWidth;
    change((held.clientX - event.clientX) * degrees, (event.clientY - held.clientY) * degrees);
    held = event;
  };
  canvas.addEventListener("wheel", event => { // only once it was clicked: before, the wheel scrolls the notebook
    if (document.activeElement !== canvas) return;
    event.preventDefault();
    change(0, 0, Math.exp(Math.sign(event.deltaY) / 10));
  }, {passive: false});
  canvas.onkeydown = event => {
    const step = sweep(view) / 12;
    const moves = {ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step],
                   "+": [0, 0, 1 / 1.1], "=": [0, 0, 1 / 1.1], "-": [0, 0, 1.1]};
    if (!moves[event.key]) return;
    event.preventDefault();
    event.stopPropagation(); // or the notebook would go on to another cell
    change(...moves[event.key]);
  };
  addEventListener("resize", () => paint(2));
  paint(2);
}

// The picture behind a data URI: its size, and a bilinear look at it. wrap(row, column) says which texel is meant.
async function texels(source) {
  const image = new Image();
  image.src = source;
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.width, image.height];
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  return {width: image.width, height: image.height, data: context.getImageData(0, 0, image.width, image.height).data};
}

// Writes the colour at (row, column), counted from the middle of the first texel, to pixels[at…at+3].
function look(picture, wrap, row, column, light, pixels, at) {
  const i = Math.floor(row), j = Math.floor(column), y = row - i, x = column - j, data = picture.data;
  const a = 4 * wrap(i, j), b = 4 * wrap(i, j + 1), c = 4 * wrap(i + 1, j), d = 4 * wrap(i + 1, j + 1);
  for (let k = 0; k < 3; k++) {
    const above = data[a + k] * (1 - x) + data[b + k] * x, below = data[c + k] * (1 - x) + data[d + k] * x;
    pixels[at + k] = light * (above * (1 - y) + below * y);
  }
  pixels[at + 3] = 255;
}
