// @ts-check
/** The dashboard is a client of the admin API like any other: requests with the token, and the stream of events. */

import { byId, setText } from './dom.js';

/** @import { BreakwaterEvent } from '../backend.ts' */

const API = '/api/v1';
const TOKEN = 'breakwater-token';
const RECONNECT_MS = { first: 1000, most: 15_000 };

/** The API said no; `message` is its own words. */
class ApiError extends Error {
  /**
   * @param {string} message
   * @param {number} status of HTTP
   */
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/**
 * Sends a request with the token; asks for the token as often as it is refused.
 * @param {string} method
 * @param {string} path below the API's prefix
 * @param {object} [body]
 * @param {{ readonly accept?: string, readonly signal?: AbortSignal | undefined }} [options]
 * @throws ApiError for any other failure that the API tells
 */
export async function request(method, path, body, { accept = 'application/json', signal } = {}) {
  for (;;) {
    const token = sessionStorage.getItem(TOKEN);
    /** @type {Record<string, string>} */
    const headers = { accept };
    if (token !== null) headers.authorization = `Bearer ${token}`;
    if (body !== undefined) headers['content-type'] = 'application/json';
    const response = await fetch(API + path, {
      ...{ method, headers, body: body && JSON.stringify(body) },
      ...(signal && { signal }),
    });
    if (response.ok) return response;
    const failure = await response.json().catch(() => ({ message: `HTTP ${response.status}` }));
    if (response.status !== 401) throw new ApiError(failure.message, response.status);
    // While this request was under way, another one may have asked already.
    if (sessionStorage.getItem(TOKEN) === token) await askToken(token === null ? '' : failure.message);
  }
}

/**
 * What the API answers to a GET.
 * @param {string} path
 * @returns {Promise<any>}
 */
export async function get(path) {
  return (await request('GET', path)).json();
}

/**
 * The same of what may be gone or may not be there: then undefined.
 * @param {string} path
 * @returns {Promise<any>}
 */
export async function getIfThere(path) {
  try {
    return await get(path);
  } catch (error) {
    if (error instanceof ApiError && error.status < 500) return undefined;
    throw error;
  }
}

/** @type {Promise<void> | undefined} */
let asking;

/**
 * One dialog for all requests that wait for the token.
 * @param {string} fault what was wrong with the last one
 */
function askToken(fault) {
  asking ??= new Promise((resolve) => {
    const dialog = byId('ask-token', HTMLDialogElement);
    const form = byId('token-form', HTMLFormElement);
    setText(byId('token-fault'), fault);
    byId('token-fault').hidden = fault === '';
    dialog.oncancel = (event) => event.preventDefault();
    form.onsubmit = (event) => {
      event.preventDefault();
      sessionStorage.setItem(TOKEN, byId('token', HTMLInputElement).value);
      form.reset();
      dialog.close();
      asking = undefined;
      resolve();
    };
    dialog.showModal();
  });
  return asking;
}

/** Ids that are remembered: a stream that is taken up may tell the events of some seconds once more. */
const RECENT_MAX = 20_000;

/**
 * Follows the events of all proxies for as long as the page is open; what happens while the stream is away is told behind it.
 * @param {(event: BreakwaterEvent, id: string) => void} onEvent
 * @param {(isLive: boolean, missing: readonly string[]) => void} onLive also told which proxies do not answer
 */
export async function followEvents(onEvent, onLive) {
  let newest = '';
  /** @type {Set<string>} */
  const recent = new Set();
  for (let wait = RECONNECT_MS.first; ; wait = Math.min(wait * 2, RECONNECT_MS.most)) {
    try {
      const path = newest === '' ? '/events' : `/events?since=${encodeURIComponent(newest)}`;
      const onOpen = () => {
        onLive(true, []);
        wait = RECONNECT_MS.first;
      };
      const onFrame = (/** @type {Frame} */ { event, id, data }) => {
        if (event === 'peers') return onLive(true, data.missing);
        newest = id;
        if (recent.has(id)) return;
        recent.add(id);
        const [oldest = ''] = recent;
        if (recent.size > RECENT_MAX) recent.delete(oldest);
        onEvent(data, id);
      };
      await readStream(path, onFrame, { onOpen });
    } catch {
      // Whatever ended the stream, it is opened again; the status line tells about an unreachable proxy.
    }
    onLive(false, []);
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

/**
 * One server-sent event (HTML standard, clause 9.2).
 * @typedef {{ readonly event: string, readonly id: string, readonly data: any }} Frame
 */

/**
 * Reads server-sent events until the stream ends; streamed by fetch, because EventSource cannot send the token.
 * @param {string} path below the API's prefix
 * @param {(frame: Frame) => void} onFrame
 * @param {{ readonly onOpen?: () => void, readonly signal?: AbortSignal }} [options]
 */
export async function readStream(path, onFrame, { onOpen, signal } = {}) {
  const { body } = await request('GET', path, undefined, { accept: 'text/event-stream', signal });
  onOpen?.();
  if (body === null) return;
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    const frames = (rest + part.value).split('\n\n');
    rest = frames.pop() ?? '';
    for (const frame of frames) {
      const lines = frame.split('\n');
      const field = (/** @type {string} */ name) =>
        lines.find((line) => line.startsWith(name))?.slice(name.length);
      const data = field('data: ');
      if (data !== undefined)
        onFrame({ event: field('event: ') ?? 'message', id: field('id: ') ?? '', data: JSON.parse(data) });
    }
  }
}
