// @ts-check
/** Small helpers for the page. Whatever is shown is set as text: client ids are chosen by devices. */

/**
 * The element of the page with this id.
 * @param {string} id
 * @returns {any} of the type that the page gives it
 */
export function byId(id) {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no #${id}`);
  return found;
}

/**
 * The first element below this one that the selector names.
 * @param {ParentNode} parent
 * @param {string} selector
 * @returns {any}
 */
export function find(parent, selector) {
  const found = parent.querySelector(selector);
  if (found === null) throw new Error(`nothing is ${selector}`);
  return found;
}

/**
 * A copy of a template's row.
 * @param {string} template
 * @returns {HTMLElement}
 */
export function newRow(template) {
  return byId(template).content.firstElementChild.cloneNode(true);
}

/**
 * Fills the places of a row that name what they show.
 * @param {HTMLElement} row
 * @param {object} texts
 */
export function fill(row, texts) {
  const all = /** @type {Record<string, unknown>} */ (texts);
  for (const place of /** @type {NodeListOf<HTMLElement>} */ (row.querySelectorAll('[data-text]')))
    setText(place, all[place.dataset.text ?? '']);
}

/**
 * @param {Element} element
 * @param {unknown} text
 */
export function setText(element, text) {
  if (element.textContent !== String(text)) element.textContent = String(text);
}

/**
 * Keeps one row for each item, in the items' order, so that focus and selection survive a refresh.
 * @template T
 * @param {HTMLElement} body
 * @param {readonly T[]} items
 * @param {(item: T) => string} keyOf
 * @param {(item: T) => HTMLElement} create
 * @param {(row: HTMLElement, item: T) => void} update
 */
export function syncRows(body, items, keyOf, create, update) {
  const children = /** @type {HTMLElement[]} */ ([...body.children]);
  const rows = new Map(children.map((row) => [row.dataset.key, row]));
  items.forEach((item, index) => {
    const key = keyOf(item);
    const row = rows.get(key) ?? create(item);
    row.dataset.key = key;
    rows.delete(key);
    update(row, item);
    if (body.children[index] !== row) body.insertBefore(row, body.children[index] ?? null);
  });
  for (const row of rows.values()) row.remove();
}
