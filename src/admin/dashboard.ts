/** The dashboard: a page, its style and its script, without the token and without any data; the script asks for the token. */

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { extname } from 'node:path';
import type { FastifyReply } from 'fastify';
import type { Api } from './api.ts';

const FOLDER = new URL('./dashboard/', import.meta.url);

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
};

/** Nothing but these files runs or is loaded, and the page talks to nobody but its proxy: it works without any other network. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  // Client ids are chosen by devices: the browser itself refuses to parse any string as HTML.
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

interface DashboardFile {
  readonly type: string;
  readonly body: Buffer;
  readonly etag: string;
}

export function dashboardRoutes(api: Api): void {
  for (const name of readdirSync(FOLDER)) {
    const type = types[extname(name)];
    if (type === undefined) continue;
    const body = readFileSync(new URL(name, FOLDER));
    const etag = `"${createHash('sha256').update(body).digest('base64url')}"`;
    const url = name === 'page.html' ? '/' : `/dashboard/${name}`;
    api.get(url, { config: { open: true }, schema: { hide: true } }, (request, reply) =>
      answer(reply, { type, body, etag }, request.headers['if-none-match']),
    );
  }
}

/** The browser asks each time, so that page and script are of one version after an upgrade of the proxy. */
function answer(reply: FastifyReply, { type, body, etag }: DashboardFile, known: string | undefined) {
  reply.headers({ 'content-security-policy': policy, 'cache-control': 'no-cache', etag });
  return known === etag ? reply.code(304).send() : reply.type(type).send(body);
}
