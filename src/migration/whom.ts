import type { Whom } from '../data-plane-api/device-order.ts';

/**
 * Whom a person means: `#17` is the connection of that number, at any proxy; `#17@edge-1` that of one proxy; everything
 * else is a client id. A device that calls itself `#17` is found by the number of its connection.
 */
export function whomOf(asked: string): Whom {
  const [, number, proxy] = /^#(\d{1,10})(?:@(.+))?$/.exec(asked) ?? [];
  return number === undefined ? { clientId: asked } : { connection: Number(number), proxy };
}
