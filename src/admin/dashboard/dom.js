// @ts-check
/** Small helpers for the page. Whatever is shown is set as text: client ids are chosen by devices. */

/**
 * The element of the page with this id, of this type.
 * @template {HTMLElement} [T=HTMLElement]
 * @param {string} id
 * @param {abstract new () => T} [type]
 * @returns {T}
 */
export function byId(id, type) {
  const found = document.getElementById(id);
  const wanted = type ?? HTMLElement;
  if (found instanceof wanted) return /** @type {T} */ (found);
  throw new Error(`the page has no #${id}, or it is no ${wanted.name}`);
}

/** @typedef {string | number | boolean | undefined | ((event: any) => void)} Attribute */

/**
 * A new element. An attribute that is a function listens to the event of its name, `onclick`; false and undefined set none.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Readonly<Record<string, Attribute>>} [attributes]
 * @param {...(Node | string | undefined)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name.slice(2), value);
    else if (value !== false && value !== undefined)
      element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(...children.filter((child) => child !== undefined));
  return element;
}

/**
 * A new element of SVG.
 * @template {keyof SVGElementTagNameMap} K
 * @param {K} tag
 * @param {Readonly<Record<string, string | number>>} attributes
 * @param {...Node} children
 * @returns {SVGElementTagNameMap[K]}
 */
export function svg(tag, attributes, ...children) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/**
 * @param {Element} element
 * @param {string | number} text
 */
export function setText(element, text) {
  if (element.textContent !== String(text)) element.textContent = String(text);
}

/**
 * Sets a class only where it is another, so that nothing is laid out anew in vain.
 * @param {Element} element
 * @param {string} names
 */
export function setClass(element, names) {
  if (element.getAttribute('class') !== names) element.setAttribute('class', names);
}

/**
 * One row of a list: its element, and how it comes to show another state of its item.
 * @template T
 * @typedef {{ readonly element: HTMLElement, update(item: T): void }} Row
 */

/**
 * Keeps one row for each item, in the items' order, so that focus and selection survive a refresh.
 * @template T
 */
export class KeyedList {
  /** @type {Map<string, Row<T>>} */
  #rows = new Map();
  #parent;
  #keyOf;
  #create;

  /**
   * @param {HTMLElement} parent holds nothing but the rows
   * @param {(item: T) => string} keyOf
   * @param {(item: T) => Row<T>} create
   */
  constructor(parent, keyOf, create) {
    this.#parent = parent;
    this.#keyOf = keyOf;
    this.#create = create;
  }

  /** @param {readonly T[]} items */
  show(items) {
    /** @type {Map<string, Row<T>>} */
    const rows = new Map();
    items.forEach((item, index) => {
      const key = this.#keyOf(item);
      const row = this.#rows.get(key) ?? this.#create(item);
      rows.set(key, row);
      this.#rows.delete(key);
      row.update(item);
      row.element.dataset.key = key;
      const there = this.#parent.children[index];
      if (there !== row.element) this.#parent.insertBefore(row.element, there ?? null);
    });
    for (const { element } of this.#rows.values()) element.remove();
    this.#rows = rows;
  }
}
