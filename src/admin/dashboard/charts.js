// @ts-check
/** Small drawings: lines over time, bars against a fair share, and strips of probes. */

import { h, setClass, setText, svg } from './dom.js';
import { ago, count, duration, perSecond } from './format.js';

/** @import { NodeDetail } from '../backend.ts' */

/** Two minutes of polls. */
const SAMPLES = 60;
const SHORTEST_MS = 1000;

/** How fast a counter grows, sample by sample. */
export class Rates {
  /** @type {{ total: number, now: number } | undefined} */
  #previous;
  /** A second, oldest first. @type {number[]} */
  samples = [];

  /**
   * @param {number} total
   * @param {number} now milliseconds
   */
  add(total, now) {
    // The page may ask again at once, and a rate over a few milliseconds says nothing.
    if (this.#previous !== undefined && now - this.#previous.now < SHORTEST_MS) return;
    // A total that shrank belongs to a proxy that was started anew.
    if (this.#previous !== undefined && total >= this.#previous.total) {
      this.samples.push(((total - this.#previous.total) * 1000) / (now - this.#previous.now));
      if (this.samples.length > SAMPLES) this.samples.shift();
    }
    this.#previous = { total, now };
  }

  /** Of late; absent where none is known yet. @returns {number | undefined} */
  get last() {
    return this.samples.at(-1);
  }
}

/** A line over the last two minutes. */
export class Sparkline {
  #line = svg('path', { class: 'spark-line' });
  #area = svg('path', { class: 'spark-area' });
  element;

  /** @param {string} label what it shows */
  constructor(label) {
    const place = { class: 'spark', viewBox: '0 0 100 40', preserveAspectRatio: 'none' };
    this.element = svg('svg', { ...place, role: 'img', 'aria-label': label }, this.#area, this.#line);
  }

  /** @param {readonly number[]} samples the last one is at the right edge */
  draw(samples) {
    const most = Math.max(1, ...samples);
    const points = samples.map((sample, i) => {
      const x = 100 - ((samples.length - 1 - i) * 100) / (SAMPLES - 1);
      return `${x.toFixed(1)} ${(38 - (sample / most) * 35).toFixed(1)}`;
    });
    if (points.length < 2) return;
    const start = points[0]?.split(' ')[0];
    this.#line.setAttribute('d', `M${points.join('L')}`);
    this.#area.setAttribute('d', `M${start} 40L${points.join('L')}L100 40Z`);
  }
}

/** A sparkline with the rate of late beside it. */
export class Trend {
  #spark;
  #rate = h('small', { class: 'rate' });
  element;

  /** @param {string} label what it shows */
  constructor(label) {
    this.#spark = new Sparkline(label);
    this.element = h('div', { class: 'trend-line' }, this.#spark.element, this.#rate);
  }

  /** @param {Rates | undefined} rates */
  draw(rates) {
    this.#spark.draw(rates?.samples ?? []);
    setText(this.#rate, rates?.last === undefined ? '' : `${perSecond(rates.last)}/s`);
  }
}

/** A bar, and a mark where its fair share is. */
export class ShareBar {
  #fill = h('span', { class: 'bar-fill' });
  #mark = h('span', { class: 'bar-mark' });
  #number = h('span', { class: 'bar-number' });
  #share = h('small');
  element = h(
    'div',
    { class: 'share' },
    h('div', { class: 'bar' }, this.#fill, this.#mark),
    h('div', { class: 'share-text' }, this.#number, this.#share),
  );

  /**
   * @param {number} value
   * @param {number} fair what it would be if all were shared evenly by weight; 0 where nothing is due
   * @param {number} scale what fills the whole bar
   */
  draw(value, fair, scale) {
    this.#fill.style.width = `${Math.min(100, (value / scale) * 100).toFixed(1)}%`;
    this.#mark.hidden = fair === 0;
    this.#mark.style.left = `${Math.min(100, (fair / scale) * 100).toFixed(1)}%`;
    setText(this.#number, count(value));
    setText(this.#share, fair === 0 ? '' : `${Math.round((value / fair) * 100)} % of share`);
    // Few devices are never even: three against two are no finding.
    const isFar = fair > 0 && value > fair * 1.25 && value - fair >= 20;
    setClass(this.#fill, `bar-fill${isFar ? ' far' : ''}`);
    this.element.title = fair === 0 ? '' : `fair share: ${count(Math.round(fair))}`;
  }
}

/**
 * How far something has come.
 * @param {number} part
 * @param {number} whole
 * @param {string} label
 */
export function progress(part, whole, label) {
  return h('progress', { max: Math.max(1, whole), value: part, 'aria-label': label });
}

/**
 * The last probes of a node: one tick each, as high as it took long, with a sentence below.
 * @param {NodeDetail['probes']} probes
 */
export function probeStrip(probes) {
  if (probes.length === 0) return h('p', { class: 'muted' }, 'This proxy has not probed it yet.');
  const slowest = Math.max(0.01, ...probes.map(({ seconds }) => seconds));
  const ticks = probes.map(({ at, seconds, failure }, i) => {
    const height = failure === undefined ? 6 + (seconds / slowest) * 24 : 30;
    const place = { x: i * 7, y: 30 - height, width: 5, height, rx: 1 };
    const title = svg('title', {});
    title.textContent = `${duration(seconds)}, ${ago(at)} ago${failure === undefined ? '' : `: ${failure}`}`;
    return svg('rect', { ...place, class: failure === undefined ? 'probe-ok' : 'probe-failed' }, title);
  });
  const failed = probes.filter(({ failure }) => failure !== undefined);
  const last = failed.at(-1);
  const fault = last === undefined ? '' : `; the last ${ago(last.at)} ago: ${last.failure}`;
  const text = `${failed.length} of the last ${probes.length} failed${fault}`;
  const label = `Probes, oldest first: ${text}`;
  return h(
    'div',
    { class: 'probes' },
    svg('svg', { viewBox: '0 0 280 30', role: 'img', 'aria-label': label }, ...ticks),
    h('p', { class: 'muted' }, text),
  );
}
