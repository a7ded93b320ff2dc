import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HANDED_VERSION } from '../../../src/connection/handed-version.ts';
import { WebSocketLayer } from '../../../src/connection/websocket/layer.ts';
import type { Wire } from '../../../src/connection/wire.ts';
import { anySession } from './handed-values.ts';
import { packet, Scene } from './scene.ts';
import { served } from './session-scene.ts';

/** What `formatOf` gives of each version. */
const formats: Readonly<Record<number, string>> = { 4: '32a18bd63f3470a8' };

/** The names of all fields. */
function formatOf(values: readonly unknown[]): string {
  const names = new Set<string>();
  const note = (value: unknown, path: string): void => {
    names.add(path);
    if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return;
    for (const [name, field] of Object.entries(value))
      note(field, Array.isArray(value) ? path : `${path}.${name}`);
  };
  for (const value of values) note(value, '');
  return createHash('sha256')
    .update([...names].sort().join(' '))
    .digest('hex')
    .slice(0, 16);
}

test('formats change with their version only: count HANDED_VERSION up, and write here what this expects', () => {
  const greeting = new Scene().says(packet.CONNECT.subarray(0, 9)).connection.describe();
  const held = new Scene({ reconnectDelayMs: 700 }).says(packet.CONNECT).connection.describe();
  const tls = new Scene({ opaque: 'tls' }).connection.describe();
  const layer = new WebSocketLayer(
    { toDevice() {} } as unknown as Wire,
    { remoteAddress: '', remotePort: 0 },
    { path: '/' },
  );
  const upgrade =
    'GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n';
  layer.deviceData(Buffer.from(upgrade), 0, upgrade.length);
  if (greeting?.kind !== 'mqtt') throw new Error('it greets');
  const all = [
    ...[greeting, held, tls, layer.describe(greeting), new Scene().served().connection.describe()],
    ...[
      new Scene({ opaque: 'tcp' }).opens().connection.describe(),
      ...fc.sample(anySession, { numRuns: 200, seed: 1 }),
    ],
  ];
  const moving = served('CONNECT id=dev', { nodes: ['a'] });
  moving.say('a', 'reset');
  moving.pass(40);
  moving.say('a', 'refuses ECONNREFUSED');
  all.push(moving.connection.describe());
  expect(all).not.toContain(undefined);
  expect(formatOf(all)).toBe(formats[HANDED_VERSION]);
});
