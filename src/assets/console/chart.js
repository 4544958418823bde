/** A small chart of the last minutes: one or two lines over time, drawn as SVG, with a word for those who do not see it. */
import { drawn, element } from './dom.js';

/** Seconds that are shown at most, and at least. */
const [MOST_SECONDS, LEAST_SECONDS] = [300, 60];

const [WIDTH, HEIGHT] = [300, 72];

/** A round number at or above `value`, for the top of the scale. */
function ceiling(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value);
}

export class Chart {
  #points = [];
  #lines;
  #top;
  #start;
  #svg;
  #format;
  #ceiling;
  #title;

  /**
   * Appends itself to `parent`. `names` are its lines, `format(value)` is how a value reads, `ceiling(value)` a round one
   * at or above it.
   */
  constructor(parent, title, names, format, roundUp = ceiling) {
    const figure = element('figure', 'chart panel');
    const caption = element('figcaption');
    const legend = element('p', 'legend');
    this.#title = title;
    this.#format = format;
    this.#ceiling = roundUp;
    caption.append(element('span', 'title', title), legend);
    this.#svg = drawn('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': title });
    this.#svg.append(drawn('path', { class: 'grid', d: `M0 .5H${WIDTH}M0 ${HEIGHT / 2}H${WIDTH}M0 ${HEIGHT - 0.5}H${WIDTH}` }));
    this.#lines = names.map((name, i) => {
      const [area, line] = [drawn('path', { class: `area n${i}` }), drawn('path', { class: `line n${i}` })];
      this.#svg.append(area, line);
      const series = element('span', `series n${i}`, `${name} `);
      const value = element('strong', 'value', '–');
      series.append(value);
      legend.append(series);
      return { name, area, line, value };
    });
    this.#top = element('span', 'top', '');
    const scale = element('p', 'scale');
    this.#start = element('span', '', '1 min ago');
    scale.append(this.#start, element('span', '', 'now'));
    const plot = element('div', 'plot');
    plot.append(this.#svg, this.#top);
    figure.append(caption, plot, scale);
    parent.append(figure);
  }

  /** What was measured at `at`, in seconds, on each line; `undefined` for a gap. */
  add(at, values) {
    this.#points.push({ at, values });
    while (this.#points[0].at < at - MOST_SECONDS) this.#points.shift();
    const seconds = Math.max(at - this.#points[0].at, LEAST_SECONDS);
    const past = `${Math.floor(seconds / 60)} min${seconds % 60 < 1 ? '' : ` ${Math.floor(seconds % 60)} s`}`;
    this.#start.textContent = `${past} ago`;
    const top = this.#ceiling(Math.max(...this.#points.flatMap((point) => point.values.map((value) => value ?? 0))));
    const x = (point) => (WIDTH * (1 - (at - point.at) / seconds)).toFixed(1);
    const y = (value) => (HEIGHT - 1 - ((HEIGHT - 2) * value) / top).toFixed(1);
    this.#lines.forEach(({ line, area, value: shown }, i) => {
      const [path, filled] = this.#paths(i, x, y);
      line.setAttribute('d', path);
      area.setAttribute('d', filled);
      shown.textContent = values[i] === undefined ? '–' : this.#format(values[i]);
    });
    this.#top.textContent = this.#format(top);
    const named = this.#lines.map(({ name }, i) => `${name} ${values[i] === undefined ? 'unknown' : this.#format(values[i])}`);
    this.#svg.setAttribute('aria-label', `${this.#title}, last ${past}, now ${named.join(', ')}, top ${this.#format(top)}`);
  }

  /** A line, broken where nothing is known, and the area below it. */
  #paths(i, x, y) {
    let path = '';
    let filled = '';
    let from;
    let last;
    const close = () => (filled += last === undefined ? '' : `L${last} ${HEIGHT}L${from} ${HEIGHT}Z`);
    for (const point of this.#points) {
      const value = point.values[i];
      if (value === undefined) {
        close();
        last = undefined;
        continue;
      }
      const step = `${last === undefined ? 'M' : 'L'}${x(point)} ${y(value)}`;
      if (last === undefined) from = x(point);
      path += step;
      filled += step;
      last = x(point);
    }
    close();
    return [path, filled];
  }
}
