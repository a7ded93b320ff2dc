import { type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { eachField, type RawFields } from '../protocol/http/fields.ts';

/** Answers of our own: a status and one line of text, which says nothing of nodes. */

/** After a head that is refused it is unknown where the next one begins (RFC 9112, 9.6). */
const ENDING: ReadonlySet<number> = new Set([400, 405, 431, 501, 505]);

export function answerPlainly(response: ServerResponse, status: number, detail: string): void {
  const { body, fields } = plain(status, detail);
  if (ENDING.has(status)) fields.push('Connection', 'close');
  response.writeHead(status, STATUS_CODES[status] ?? '', fields);
  response.end(body);
}

/** The same where there is only a socket: the request could not be read, or asked to upgrade. Then the socket is closed. */
export function endPlainly(socket: Duplex, status: number, detail: string): void {
  const { body, fields } = plain(status, detail);
  socket.end(`${formatHead(status, STATUS_CODES[status] ?? '', [...fields, 'Connection', 'close'])}${body}`);
}

/** The head of an answer. The fields have passed a parser or are our own: none of them can hold a line end. */
export function formatHead(status: number, message: string, fields: RawFields): string {
  let text = `HTTP/1.1 ${status} ${message}\r\n`;
  for (const [name, value] of eachField(fields)) text += `${name}: ${value}\r\n`;
  return `${text}\r\n`;
}

function plain(status: number, detail: string): { body: string; fields: string[] } {
  if (status === 204) return { body: '', fields: [] };
  const body = `${status} ${STATUS_CODES[status] ?? ''}: ${detail}\n`;
  const length = String(Buffer.byteLength(body));
  return {
    body,
    fields: [
      'Content-Type',
      'text/plain; charset=utf-8',
      'Content-Length',
      length,
      'Cache-Control',
      'no-store',
    ],
  };
}
