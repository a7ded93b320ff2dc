// @ts-check
/** Small drawings in SVG. */

import { find } from './dom.js';

/** Two minutes of polls. */
const SAMPLES = 60;

/**
 * A line over the last samples, in a drawing of 100 by 40 with the paths `.line` and `.area`.
 * @param {Element} svg
 * @param {readonly number[]} samples the last one is at the right edge
 */
export function drawSpark(svg, samples) {
  const shown = samples.slice(-SAMPLES);
  const most = Math.max(1, ...shown);
  const points = shown.map((sample, i) => {
    const x = 100 - ((shown.length - 1 - i) * 100) / (SAMPLES - 1);
    return `${x.toFixed(2)} ${(38 - (sample / most) * 34).toFixed(2)}`;
  });
  if (points.length < 2) return;
  const start = points[0]?.split(' ')[0];
  find(svg, '.line').setAttribute('d', `M${points.join('L')}`);
  find(svg, '.area').setAttribute('d', `M${start} 40L${points.join('L')}L100 40Z`);
}

/** How fast a counter grows, sample by sample. */
export class Rates {
  /** @type {{ total: number, now: number } | undefined} */
  #previous;
  /** A second, oldest first. @type {number[]} */
  samples = [];

  /**
   * @param {number} total
   * @param {number} now milliseconds
   * @returns {number | undefined} the rate of late, a second; absent where none is known yet
   */
  add(total, now) {
    // A total that shrank belongs to a proxy that was started anew.
    if (this.#previous !== undefined && total >= this.#previous.total && now > this.#previous.now) {
      this.samples.push(((total - this.#previous.total) * 1000) / (now - this.#previous.now));
      if (this.samples.length > SAMPLES) this.samples.shift();
    }
    this.#previous = { total, now };
    return this.samples.at(-1);
  }
}
