import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Api } from './api.ts';

/** The dashboard: one page, without the token and without any data; its script asks for the token. */
export function dashboardRoutes(api: Api): void {
  const { html, policy } = composePage();
  api.get('/', { config: { open: true }, schema: { hide: true } }, async (_request, reply) =>
    reply
      .type('text/html; charset=utf-8')
      .headers({ 'content-security-policy': policy, 'cache-control': 'no-cache' })
      .send(html),
  );
}

/** Style and script are written apart and sent inline; the policy lets exactly these two run, and nothing else. */
function composePage(): { html: string; policy: string } {
  const style = read('style.css');
  const script = read('script.js');
  const html = read('page.html')
    .replace('<style></style>', () => `<style>${style}</style>`)
    .replace('<script type="module"></script>', () => `<script type="module">${script}</script>`);
  const policy = [
    "default-src 'none'",
    `script-src ${sourceHash(script)}`,
    `style-src ${sourceHash(style)}`,
    "connect-src 'self'",
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    // Client ids are chosen by devices: the browser itself refuses to parse any string as HTML.
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; ');
  return { html, policy };
}

function read(name: string): string {
  return readFileSync(new URL(`./dashboard/${name}`, import.meta.url), 'utf8');
}

function sourceHash(source: string): string {
  return `'sha256-${createHash('sha256').update(source).digest('base64')}'`;
}
