// A textured mesh as render() shows it: the lesson's rasterizer, face by face instead of pixel by pixel.
async function mesh(scene) {
  const picture = await texels(scene.picture), {width: W, height: H} = picture;
  const numbers = new DataView(await inflated(scene.geometry)), read = reader(numbers);
  const places = read(scene.vertices, 3, 2), normals = read(scene.vertices, 3, 1), uv = read(scene.vertices, 2, 2);
  const corners = summed(read(3 * scene.faces, 1, 4)); // as steps from one to the next, which compress well
  scaled(places, 3, ...scene.range);
  scaled(uv, 2, ...scene.uvRange);
  const wrap = (i, j) => (((i % H) + H) % H) * W + ((j % W) + W) % W;

  turn(scene, () => 240, ({yaw, pitch, fov}, width, height, pixels) => {
    const phi = yaw * Math.PI / 180, rise = pitch * Math.PI / 180;
    const s = Math.sin(phi), c = Math.cos(phi), up = Math.sin(rise), flat = Math.cos(rise);
    const rotation = [[c, 0, -s], [-up * s, flat, -up * c], [flat * s, up, flat * c]]; // right, up, backward
    const focal = height / 2 / Math.tan(fov * Math.PI / 360), dot = (r, a, v) => r[0] * a[v] + r[1] * a[v + 1] + r[2] * a[v + 2];
    const n = scene.vertices, x = new Float64Array(n), y = new Float64Array(n), near = new Float64Array(n), light = new Float64Array(n);
    for (let v = 0; v < n; v++) { // near = 1 / depth
      near[v] = 1 / (scene.distance - dot(rotation[2], places, 3 * v));
      x[v] = width / 2 + focal * near[v] * dot(rotation[0], places, 3 * v);
      y[v] = height / 2 - focal * near[v] * dot(rotation[1], places, 3 * v);
      light[v] = scene.light.reduce((sum, l, k) => sum + l * dot(rotation[k], normals, 3 * v) / 127, 0);
    }
    const seen = new Float64Array(width * height); // the largest 1 / depth so far
    pixels.fill(255);
    for (let f = 0; f < corners.length; f += 3) {
      const [p, q, r] = [corners[f], corners[f + 1], corners[f + 2]];
      const area = (x[q] - x[p]) * (y[r] - y[p]) - (y[q] - y[p]) * (x[r] - x[p]);
      if (area === 0) continue;
      const [left, right] = span(x[p], x[q], x[r], width), [top, bottom] = span(y[p], y[q], y[r], height);
      for (let i = top; i < bottom; i++) {
        for (let j = left; j < right; j++) {
          const a = ((x[q] - j - 0.5) * (y[r] - i - 0.5) - (y[q] - i - 0.5) * (x[r] - j - 0.5)) / area;
          const b = ((x[r] - j - 0.5) * (y[p] - i - 0.5) - (y[r] - i - 0.5) * (x[p] - j - 0.5)) / area;
          if (a < 0 || b < 0 || a + b > 1) continue;
          const [na, nb, nc] = [a * near[p], b * near[q], (1 - a - b) * near[r]], total = na + nb + nc;
          if (total <= seen[i * width + j]) continue;
          seen[i * width + j] = total;
          const mixed = (values, step, k) =>
            (na * values[step * p + k] + nb * values[step * q + k] + nc * values[step * r + k]) / total;
          const bright = 1 - scene.shading + scene.shading * Math.max(0, mixed(light, 1, 0));
          look(picture, wrap, (1 - mixed(uv, 2, 1)) * H - 0.5, mixed(uv, 2, 0) * W - 0.5, bright, pixels, 4 * (i * width + j));
        }
      }
    }
  });
}

// The pixels whose centres may lie between three numbers.
function span(a, b, c, size) {
  return [Math.max(0, Math.ceil(Math.min(a, b, c) - 0.5)), Math.min(size, Math.floor(Math.max(a, b, c) - 0.5) + 1)];
}

async function inflated(base64) {
  const bytes = Uint8Array.from(atob(base64), c => c.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).arrayBuffer();
}

// Little-endian numbers one after the other: rows × columns of 1 byte (signed), 2 (unsigned) or 4 (signed).
function reader(view) {
  let at = 0;
  return (rows, columns, bytes) => Float64Array.from({length: rows * columns}, () => {
    const value = bytes === 1 ? view.getInt8(at) : bytes === 2 ? view.getUint16(at, true) : view.getInt32(at, true);
    at += bytes;
    return value;
  });
}

function summed(steps) {
  for (let i = 1; i < steps.length; i++) steps[i] += steps[i - 1];
  return steps;
}

function scaled(values, columns, low, high) {
  values.forEach((value, i) => { values[i] = low + value / 65535 * (high - low); });
}
