/** The console's QR codes, read by somebody else's decoder. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import jsQR from 'jsqr';
import { modules } from '../../src/assets/console/qr.js';

/** What a decoder reads in a picture of the modules. */
function read(dark) {
  const [scale, quiet] = [4, 4];
  const width = (dark.length + 2 * quiet) * scale;
  const pixels = new Uint8ClampedArray(width * width * 4).fill(255);
  dark.forEach((row, y) => {
    row.forEach((module, x) => {
      for (let i = 0; module && i < scale * scale; i += 1) {
        const [px, py] = [(x + quiet) * scale + (i % scale), (y + quiet) * scale + Math.floor(i / scale)];
        pixels.fill(0, (py * width + px) * 4, (py * width + px) * 4 + 3);
      }
    });
  });
  return jsQR(pixels, width, width)?.data;
}

test('texts of every length up to the largest version are read back', () => {
  const versions = new Set();
  for (let length = 0; length <= 213; length += length < 30 ? 1 : 7) {
    const text = randomBytes(length).toString('base64url').slice(0, length);
    const dark = modules(text);
    versions.add((dark.length - 17) / 4);
    assert.equal(read(dark), text, `${length} bytes`);
  }
  for (const length of [14, 26, 42, 62, 84, 106, 122, 152, 180, 213]) {
    const text = 'x'.repeat(length);
    assert.equal(read(modules(text)), text, `${length} bytes, which fill a version`);
  }
  assert.deepEqual([...versions].sort((a, b) => a - b), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
});

test('a link, and letters of more than one byte', () => {
  for (const text of ['http://[fd00::1:2:3:4]:9009/console#pair=3f9a01c7', 'Grüße 😀 ‮']) assert.equal(read(modules(text)), text);
});

test('a text that is too long is refused', () => {
  assert.equal(modules('x'.repeat(214)), undefined);
});
