/**
 * QR codes (ISO/IEC 18004) of short texts: bytes, error correction M, versions 1 to 10, which is up to 213 bytes. Knows
 * nothing of pages but how to draw itself.
 */

/** By version, from 1: error correction codewords of a block, and blocks. */
const CORRECTION = [10, 16, 26, 18, 24, 16, 18, 22, 22, 26];
const BLOCKS = [1, 1, 1, 2, 2, 4, 4, 4, 5, 5];

/** GF(256) over x^8 + x^4 + x^3 + x^2 + 1: powers of 2, and their logarithms. */
const POWER = [];
const LOG = [];
for (let i = 0, value = 1; i < 255; i += 1) {
  POWER[i] = value;
  LOG[value] = i;
  value = (value << 1) ^ (value > 127 ? 0x11d : 0);
}
const times = (a, b) => (a && b ? POWER[(LOG[a] + LOG[b]) % 255] : 0);

/** Which modules a mask turns over. */
const MASKS = [
  (x, y) => (x + y) % 2 === 0,
  (x, y) => y % 2 === 0,
  (x) => x % 3 === 0,
  (x, y) => (x + y) % 3 === 0,
  (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2 === 0,
  (x, y) => ((x * y) % 2) + ((x * y) % 3) === 0,
  (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2 === 0,
  (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2 === 0,
];

const centres = (version) => {
  if (version === 1) return [];
  const count = Math.floor(version / 7) + 2;
  const last = version * 4 + 10;
  const step = Math.ceil((last - 6) / (count - 1) / 2) * 2;
  return [6, ...Array.from({ length: count - 1 }, (_, i) => last - step * (count - 2 - i))];
};

/** Codewords that a version holds, data and correction. */
const codewords = (version) => {
  const marks = centres(version).length;
  const modules = (16 * version + 128) * version + 64;
  const spent = marks ? (25 * marks - 10) * marks - 55 : 0;
  return Math.floor((modules - spent - (version > 6 ? 36 : 0)) / 8);
};

const room = (version) => codewords(version) - CORRECTION[version - 1] * BLOCKS[version - 1];

/** The remainder by which a block is corrected. */
const correction = (data, length) => {
  let generator = [1];
  for (let i = 0; i < length; i += 1) {
    const next = [...generator, 0];
    generator.forEach((factor, at) => (next[at + 1] ^= times(factor, POWER[i])));
    generator = next;
  }
  const rest = [...data, ...new Array(length).fill(0)];
  for (let i = 0; i < data.length; i += 1) {
    const factor = rest[i];
    generator.forEach((each, at) => (rest[i + at] ^= times(each, factor)));
  }
  return rest.slice(data.length);
};

/** Data, padded and corrected, its blocks interleaved. */
const encode = (bytes, version) => {
  const bits = [];
  const push = (value, length) => {
    for (let i = length - 1; i >= 0; i -= 1) bits.push((value >> i) & 1);
  };
  push(4, 4);
  push(bytes.length, version > 9 ? 16 : 8);
  bytes.forEach((byte) => push(byte, 8));
  const capacity = room(version);
  push(0, Math.min(4, capacity * 8 - bits.length));
  while (bits.length % 8) bits.push(0);
  const data = [];
  for (let i = 0; i < bits.length; i += 8) data.push(bits.slice(i, i + 8).reduce((byte, bit) => byte * 2 + bit, 0));
  for (let pad = 0xec; data.length < capacity; pad ^= 0xec ^ 0x11) data.push(pad);

  const count = BLOCKS[version - 1];
  const short = Math.floor(capacity / count);
  const blocks = [];
  for (let i = 0, at = 0; i < count; i += 1) {
    const length = short + (i >= count - (capacity % count) ? 1 : 0);
    blocks.push(data.slice(at, at + length));
    at += length;
  }
  const checks = blocks.map((block) => correction(block, CORRECTION[version - 1]));
  const turns = (rows, length) => Array.from({ length }, (_, i) => rows.map((row) => row[i])).flat();
  return [...turns(blocks, short + 1).filter((byte) => byte !== undefined), ...turns(checks, CORRECTION[version - 1])];
};

/** `value` with the remainder of a BCH code behind it. */
const protect = (value, length, generator) => {
  let rest = value << length;
  for (let i = 31 - Math.clz32(rest); i >= length; i -= 1) {
    if ((rest >> i) & 1) rest ^= generator << (i - length);
  }
  return (value << length) | rest;
};

/** How hard a code is to read: runs, blocks, patterns that look like a corner, and too much of one colour. */
const penalty = (dark) => {
  const size = dark.length;
  let sum = 0;
  for (const at of [(x, y) => dark[y][x], (y, x) => dark[y][x]]) {
    for (let y = 0; y < size; y += 1) {
      let line = '';
      for (let x = 0; x < size; x += 1) line += at(x, y) ? 1 : 0;
      for (const [run] of line.matchAll(/0{5,}|1{5,}/g)) sum += run.length - 2;
      for (let x = 0; x + 11 <= size; x += 1) {
        if (/^(00001011101|10111010000)/.test(line.slice(x, x + 11))) sum += 40;
      }
    }
  }
  let count = 0;
  for (let y = 0; y < size; y += 1) {
    for (let x = 0; x < size; x += 1) {
      count += dark[y][x];
      if (x && y && dark[y][x] === dark[y][x - 1] && dark[y][x] === dark[y - 1][x] && dark[y][x] === dark[y - 1][x - 1]) {
        sum += 3;
      }
    }
  }
  return sum + Math.floor(Math.abs((count * 20) / (size * size) - 10)) * 10;
};

/** The modules of `text`, row by row, 1 for dark; `undefined` for one that is too long. */
export function modules(text) {
  const bytes = new TextEncoder().encode(text);
  let version = 1;
  while (version <= 10 && room(version) * 8 < 4 + (version > 9 ? 16 : 8) + bytes.length * 8) version += 1;
  if (version > 10) return undefined;

  const size = version * 4 + 17;
  const dark = Array.from({ length: size }, () => new Array(size).fill(0));
  const fixed = Array.from({ length: size }, () => new Array(size).fill(false));
  const set = (x, y, value) => {
    if (!(x in dark && y in dark)) return;
    dark[y][x] = value ? 1 : 0;
    fixed[y][x] = true;
  };
  const mark = (cx, cy, radius, light) => {
    for (let y = -radius; y <= radius; y += 1) {
      for (let x = -radius; x <= radius; x += 1) {
        set(cx + x, cy + y, !light.includes(Math.max(Math.abs(x), Math.abs(y))));
      }
    }
  };
  for (let i = 0; i < size; i += 1) {
    set(6, i, i % 2 === 0);
    set(i, 6, i % 2 === 0);
  }
  for (const [x, y] of [[3, 3], [size - 4, 3], [3, size - 4]]) mark(x, y, 4, [2, 4]);
  const places = centres(version);
  for (const x of places) {
    for (const y of places) {
      const isCorner = (x === 6 && (y === 6 || y === size - 7)) || (x === size - 7 && y === 6);
      if (!isCorner) mark(x, y, 2, [1]);
    }
  }
  const format = (mask) => {
    const bits = protect(mask, 10, 0x537) ^ 0x5412;
    for (let i = 0; i < 15; i += 1) {
      const bit = (bits >> i) & 1;
      set(8, i < 6 ? i : i < 8 ? i + 1 : size - 15 + i, bit);
      set(i < 8 ? size - 1 - i : i === 8 ? 7 : 14 - i, 8, bit);
    }
    set(8, size - 8, 1);
  };
  format(0);
  if (version > 6) {
    const bits = protect(version, 12, 0x1f25);
    for (let i = 0; i < 18; i += 1) {
      const [far, near] = [size - 11 + (i % 3), Math.floor(i / 3)];
      set(far, near, (bits >> i) & 1);
      set(near, far, (bits >> i) & 1);
    }
  }
  // Two columns at a time from the right, up and down in turns, around the column of the timing marks.
  const bits = encode(bytes, version).flatMap((byte) => [7, 6, 5, 4, 3, 2, 1, 0].map((i) => (byte >> i) & 1));
  let next = 0;
  let isUp = true;
  for (let right = size - 1; right > 0; right -= 2, isUp = !isUp) {
    if (right === 6) right = 5;
    for (let i = 0; i < size; i += 1) {
      const y = isUp ? size - 1 - i : i;
      for (const x of [right, right - 1]) {
        if (!fixed[y][x]) dark[y][x] = bits[next++] ?? 0;
      }
    }
  }
  const turnOver = (mask) => {
    for (let y = 0; y < size; y += 1) {
      for (let x = 0; x < size; x += 1) if (!fixed[y][x] && MASKS[mask](x, y)) dark[y][x] ^= 1;
    }
  };
  const rated = MASKS.map((_, mask) => {
    turnOver(mask);
    format(mask);
    const rate = penalty(dark);
    turnOver(mask);
    return rate;
  });
  const best = rated.indexOf(Math.min(...rated));
  turnOver(best);
  format(best);
  return dark;
}

/** Draws `text` into an SVG element, with the quiet zone around it. `false` when it is too long. */
export function draw(svg, text) {
  const dark = modules(text);
  if (!dark) return false;
  const QUIET = 4;
  const size = dark.length + 2 * QUIET;
  const runs = dark.flatMap((row, y) =>
    row.flatMap((module, x) => (module ? [`M${x + QUIET} ${y + QUIET}h1v1h-1z`] : [])),
  );
  const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  path.setAttribute('d', runs.join(''));
  svg.setAttribute('viewBox', `0 0 ${size} ${size}`);
  svg.setAttribute('shape-rendering', 'crispEdges');
  svg.replaceChildren(path);
  return true;
}
