import { expect, test } from 'vitest';
import type { PeerTls } from '../../../src/connection/wire.ts';
import { type CookieRoute, upgradeCookies } from '../../../src/data-plane/upgrade-cookies.ts';
import { createCookiePersistence } from '../../../src/policy/cookie-affinity/cookie.ts';
import { deriveMarkKey } from '../../../src/policy/cookie-affinity/node-mark.ts';

const peer = { remoteAddress: '10.0.0.1', remotePort: 1 };
const tls: PeerTls = {
  ...{ version: 'TLSv1.3', cipher: 'x', serverName: undefined, alpn: undefined },
  clientCertificateCn: undefined,
};
const key = deriveMarkKey('secret', 'default', 'web');

/** A pool whose nodes are these; the strategy has the first. */
function pool(nodes: readonly string[], mode: 'insert' | 'rewrite' = 'insert'): CookieRoute {
  return {
    cookies: createCookiePersistence({ mode, name: 'seat', maxAgeSeconds: undefined, key }),
    suggest: (_, recalled) => recalled.find((node) => nodes.includes(node)) ?? nodes[0],
  };
}

const cookieOf = ({ headers }: ReturnType<typeof upgradeCookies>) => headers[0]?.[1].split(';')[0] ?? '';

test('a new device gets a cookie of the node that the strategy has', () => {
  const { preferredNode, headers } = upgradeCookies(pool(['a', 'b']), peer, undefined);
  expect(preferredNode).toBe('a');
  expect(headers).toEqual([
    ['Set-Cookie', expect.stringMatching(/^seat=[\w-]+; Path=\/; HttpOnly; SameSite=Lax$/)],
  ]);
});

test('over TLS the cookie comes back over TLS only', () => {
  expect(upgradeCookies(pool(['a']), { ...peer, tls }, undefined).headers[0]?.[1]).toMatch(/; Secure$/);
});

test('a cookie finds its node again, and is not set anew', () => {
  const cookie = cookieOf(upgradeCookies(pool(['b']), peer, undefined));
  expect(upgradeCookies(pool(['a', 'b']), peer, `x=1; ${cookie}`)).toEqual({
    headers: [],
    preferredNode: 'b',
  });
});

test('a cookie whose node takes no devices, or that is forged, is replaced', () => {
  const gone = cookieOf(upgradeCookies(pool(['gone']), peer, undefined));
  for (const cookie of [gone, 'seat=forged']) {
    const replaced = upgradeCookies(pool(['a']), peer, cookie);
    expect(replaced).toMatchObject({ preferredNode: 'a', headers: [['Set-Cookie', expect.any(String)]] });
  }
});

test('rewriting, a cookie of the nodes is marked anew only where its node changes; there is none to begin with', () => {
  expect(upgradeCookies(pool(['a'], 'rewrite'), peer, undefined).headers).toEqual([]);
  const marked = cookieOf(upgradeCookies(pool(['a'], 'rewrite'), peer, 'seat=own'));
  expect(marked).toMatch(/^seat=[\w-]+~own$/);
  expect(upgradeCookies(pool(['b', 'a'], 'rewrite'), peer, marked)).toEqual({
    headers: [],
    preferredNode: 'a',
  });
  expect(cookieOf(upgradeCookies(pool(['b'], 'rewrite'), peer, marked))).toMatch(/~own$/);
});

test('a pool without such persistence, or without nodes, adds nothing', () => {
  const none: CookieRoute = { cookies: undefined, suggest: () => 'a' };
  expect(upgradeCookies(none, peer, 'seat=x')).toEqual({ headers: [] });
  expect(upgradeCookies(pool([]), peer, undefined)).toEqual({ headers: [] });
});
