// @ts-check
/** A long list of which only the rows in sight are in the page. All rows are of one height. */

import { h } from './dom.js';

/** @import { Row } from './dom.js' */

/** Rows above and below what is in sight. */
const MARGIN = 6;

/** @template T */
export class VirtualList {
  /** @type {readonly T[]} */
  #items = [];
  /** Each shows whichever item is at its place. @type {Row<T>[]} */
  #rows = [];
  #scroller;
  #space = h('div', { class: 'space', role: 'presentation' });
  #create;
  #onEnd;
  #total = 0;

  /**
   * @param {HTMLElement} scroller gives the height of its rows as `--row` in pixels
   * @param {() => Row<T>} create
   * @param {() => void} onEnd told when the end of the items comes in sight
   */
  constructor(scroller, create, onEnd) {
    this.#scroller = scroller;
    this.#create = create;
    this.#onEnd = onEnd;
    scroller.append(this.#space);
    scroller.addEventListener('scroll', () => this.draw(), { passive: true });
    new ResizeObserver(() => this.draw()).observe(scroller);
    scroller.addEventListener('keydown', (event) => this.#onKey(event));
  }

  /**
   * @param {readonly T[]} items
   * @param {number} total how many there are in all, for whoever hears the page
   */
  show(items, total) {
    this.#items = items;
    this.#total = total;
    this.draw();
  }

  get #height() {
    return Number.parseFloat(getComputedStyle(this.#scroller).getPropertyValue('--row')) || 48;
  }

  draw() {
    const height = this.#height;
    const { scrollTop, clientHeight } = this.#scroller;
    this.#space.style.height = `${this.#items.length * height}px`;
    this.#scroller.setAttribute('aria-rowcount', String(this.#total));
    const from = Math.max(0, Math.floor(scrollTop / height) - MARGIN);
    const to = Math.min(this.#items.length, Math.ceil((scrollTop + clientHeight) / height) + MARGIN);
    while (this.#rows.length < to - from) {
      const row = this.#create();
      this.#rows.push(row);
      this.#space.append(row.element);
    }
    // A row shows the items whose number leaves the same rest, so that scrolling by one row draws one row.
    const needed = this.#rows.length;
    this.#rows.forEach((row, place) => {
      const index = needed === 0 ? 0 : from + ((((place - from) % needed) + needed) % needed);
      const item = index < to ? this.#items[index] : undefined;
      row.element.hidden = item === undefined;
      if (item === undefined) return;
      row.element.style.transform = `translateY(${index * height}px)`;
      row.element.setAttribute('aria-rowindex', String(index + 1));
      row.update(item);
    });
    if (this.#items.length > 0 && to === this.#items.length && from > 0) this.#onEnd();
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step === undefined) return;
    const current = document.activeElement?.closest('[aria-rowindex]')?.getAttribute('aria-rowindex') ?? '0';
    const index = Number(current) + step;
    if (index < 1 || index > this.#items.length) return;
    event.preventDefault();
    const height = this.#height;
    const { scrollTop, clientHeight } = this.#scroller;
    if ((index - 1) * height < scrollTop) this.#scroller.scrollTop = (index - 1) * height;
    if (index * height > scrollTop + clientHeight) this.#scroller.scrollTop = index * height - clientHeight;
    this.draw();
    /** @type {HTMLElement | null} */
    const link = this.#space.querySelector(`[aria-rowindex="${index}"] a`);
    link?.focus({ preventScroll: true });
  }
}
