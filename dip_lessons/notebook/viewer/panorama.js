// What a camera in the centre of an equirectangular picture sees: a gnomonic view, as look_around() makes it.
async function panorama(scene) {
  const picture = await texels(scene.picture), {width: W, height: H} = picture;
  function wrap(i, j) { // beyond a pole, the row that is nearest to it, half a turn away
    if (i < 0 || i >= H) { i = i < 0 ? 0 : H - 1; j += W / 2; }
    return i * W + ((j % W) + W) % W;
  }
  turn(scene, view => view.fov, ({yaw, pitch, fov}, width, height, pixels) => {
    const longitude = (yaw + 180) * Math.PI / 180, latitude = pitch * Math.PI / 180;
    const sin = Math.sin(longitude), cos = Math.cos(longitude), up = Math.sin(latitude), flat = Math.cos(latitude);
    const scale = 2 * Math.tan(fov * Math.PI / 360) / width;
    for (let i = 0, at = 0; i < height; i++) {
      const down = scale * (i + 0.5 - height / 2);
      for (let j = 0; j < width; j++, at += 4) {
        const right = scale * (j + 0.5 - width / 2), ahead = flat + down * up;
        const x = ahead * cos - right * sin, y = ahead * sin + right * cos, z = up - down * flat;
        const row = Math.atan2(Math.hypot(x, y), z) / Math.PI * H - 0.5;
        const column = Math.atan2(y, x) / (2 * Math.PI) * W - 0.5;
        look(picture, wrap, row, column, 1, pixels, at);
      }
    }
  });
}
