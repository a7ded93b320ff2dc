import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { body, message, named, records } from '../protocol/tls-hello/hellos.ts';
import { limits, retryPolicy, Scene } from './scene.ts';

const hello = Buffer.from(records(message(body(named('a.example')))));
const placed = ['a answered after 0', 'placed at a, not accepted'];

describe('a connection of any protocol', () => {
  test('has its node sought at once, and is not read until it is there', () => {
    const scene = new Scene({ opaque: 'tcp' });
    expect(scene.did()).toEqual(['hold device', 'dial a', 'timer 3000']);
    expect(scene.opens().did()).toEqual([...placed, 'no timer', 'splice', 'read device']);
    expect(scene.deviceEnds('fin').did()).toEqual([`timer ${limits.halfCloseTimeoutMs}`]);
    expect(scene.nodeEnds('fin').closes().did()).toContain('ended: device-closed');
  });

  test('tries the next node when one refuses, or does not answer', () => {
    const scene = new Scene({ opaque: 'tcp' }).refuses();
    expect(scene.did()).toEqual([
      ...['hold device', 'dial a', 'timer 3000', 'a failed: refused', 'dial b', 'timer 3000'],
    ]);
    expect(scene.after(retryPolicy.connectTimeoutMs).did()).toEqual([
      ...['end node: reset', 'b failed: timeout', 'dial c', 'timer 3000'],
    ]);
    expect(scene.opens().did()).toContain('placed at c, not accepted');
  });

  test('is reset when there is no node', () => {
    const scene = new Scene({ opaque: 'tcp', nodes: ['a'] }).refuses();
    expect(scene.did().slice(-3)).toEqual(['rejected: no-node', 'no timer', 'end device: reset']);
    expect(scene.closes().did()).toEqual(['ended: no-node']);
    expect(new Scene({ opaque: 'tcp', nodes: [] }).did()).toContain('rejected: no-node');
    expect(new Scene({ opaque: 'tcp', nodes: ['a'], full: ['a'] }).did()).toContain('rejected: nodes-full');
  });

  test('waits for its turn at a node that is paced', () => {
    const scene = new Scene({ opaque: 'tcp', queues: { a: 200 } });
    expect(scene.did()).toEqual(['hold device', 'timer 200']);
    expect(scene.after(200).did()).toEqual(['dial a', 'timer 3000']);
  });

  test('is reset when a rule rejects it', () => {
    const scene = new Scene({ opaque: 'tcp', refusal: 'banned' });
    expect(scene.did()).toEqual(['hold device', 'rejected: banned', 'no timer', 'end device: reset']);
  });

  test('that half-closes while a node is sought may still be answered', () => {
    const scene = new Scene({ opaque: 'tcp' }).deviceEnds('fin').opens();
    expect(scene.did()).toContain(`timer ${limits.halfCloseTimeoutMs}`);
    expect(scene.after(limits.halfCloseTimeoutMs).did()).toContain('end node: reset');
  });

  test('that ends while its node reads slowly waits for that', () => {
    const scene = new Scene({ opaque: 'tcp' }).deviceEnds('fin').opens();
    scene.takes = [true];
    scene.did();
    expect(scene.after(limits.halfCloseTimeoutMs).did()).toEqual([`timer ${limits.halfCloseTimeoutMs}`]);
    expect(scene.after(limits.halfCloseTimeoutMs).did()).toContain('end node: reset');
  });

  test('that is reset while a node is sought holds nothing against the node', () => {
    const scene = new Scene({ opaque: 'tcp' });
    scene.did();
    expect(scene.deviceEnds('reset').did()).toEqual(['no timer', 'end node: reset', 'end device: reset']);
    expect(scene.closes().did()).toEqual(['ended: device-reset']);
    expect(scene.counted).toBe(0);
  });

  test.each([
    ['fin', [], 'node-closed'],
    ['reset', ['a lost: reset'], 'node-reset'],
  ] as const)('that its node ends (%s) ends', (cause, lost, reason) => {
    const scene = new Scene({ opaque: 'tcp' }).opens();
    scene.did();
    expect(scene.nodeEnds(cause).did()).toEqual([...lost, `timer ${limits.halfCloseTimeoutMs}`]);
    expect(scene.closes().did()).toEqual([`ended: ${reason}`]);
  });

  test('that is ended from outside gets what waits, and so does its node', () => {
    const scene = new Scene({ opaque: 'tcp' }).opens();
    scene.did();
    scene.connection.end('immovable');
    expect(scene.did()).toEqual([
      ...[`timer ${limits.halfCloseTimeoutMs}`, 'end node: flush', 'end device: flush'],
    ]);
    expect(scene.after(limits.halfCloseTimeoutMs).did()).toEqual(['end device: reset']);
    expect(scene.closes().did()).toEqual(['ended: immovable']);
    expect(scene.counted).toBe(0);
  });
});

describe('TLS that passes through', () => {
  test('is read for the server name, byte by byte, and goes to the node whole', () => {
    const scene = new Scene({ opaque: 'tls' });
    expect(scene.did()).toEqual([`timer ${limits.connectTimeoutMs}`]);
    for (const byte of hello) scene.says(Buffer.of(byte));
    expect(scene.askedAbout?.serverName).toBe('a.example');
    expect(scene.askedAbout?.remoteAddress).toBe('10.0.0.1');
    scene.says('early data').opens();
    expect(scene.given).toEqual(Buffer.concat([hello, Buffer.from('early data')]));
    expect(scene.did().slice(-2)).toEqual(['splice', 'read device']);
  });

  test('that is none is reset', () => {
    const scene = new Scene({ opaque: 'tls' });
    scene.did();
    expect(scene.says('GET /').did()).toEqual(['rejected: not-tls', 'no timer', 'end device: reset']);
  });

  test('that does not come is not waited for', () => {
    const scene = new Scene({ opaque: 'tls' }).says(hello.subarray(0, 9)).after(limits.connectTimeoutMs);
    expect(scene.did().slice(-3)).toEqual(['rejected: connect-timeout', 'no timer', 'end device: reset']);
  });

  test.each([
    ['a rule rejects it', { refusal: 'not-authorized' }, 49],
    ['there is no node', { nodes: [] }, 80],
  ] as const)('is told by an alert when %s', (_what, options, description) => {
    const scene = new Scene({ opaque: 'tls', ...options }).says(hello);
    const alert = Buffer.of(21, 3, 1, 0, 2, 2, description).toString('latin1');
    expect(scene.did()).toContain(`device gets ${alert}`);
    expect(scene.deviceDone).toBe('flush');
  });
});

test('whatever happens in whatever order, the wire is used as its contract says and every count is given back', () => {
  const step = fc.constantFrom(
    'opens',
    'refuses',
    'says',
    'device fin',
    'device reset',
    'node fin',
    'node reset',
    'end',
    'time',
  );
  fc.assert(
    fc.property(
      fc.constantFrom('tcp' as const, 'tls' as const),
      fc.array(step, { maxLength: 12 }),
      (opaque, steps) => {
        const scene = new Scene({ opaque });
        for (const each of steps) play(scene, each);
        if (!scene.isClosed) scene.closes();
        expect(scene.counted).toBe(0);
        expect(scene.ends).toBe(1);
      },
    ),
    { numRuns: 500 },
  );
});

/** Plays a step where the engine could. */
function play(scene: Scene, step: string): void {
  if (scene.isClosed) return;
  const state = [...scene.links.values()].at(-1);
  const isLive = scene.deviceDone === undefined;
  if (step === 'time') scene.after(60_000);
  else if (step === 'end') scene.connection.end('kicked');
  else if (step === 'opens' && state === 'dialling') scene.opens();
  else if (step === 'refuses' && state === 'dialling') scene.refuses();
  else if (step.startsWith('node') && state === 'open') scene.nodeEnds(step === 'node fin' ? 'fin' : 'reset');
  else if (
    step === 'says' &&
    isLive &&
    !scene.held &&
    scene.spliced === undefined &&
    scene.deviceEnd === undefined
  )
    scene.says(hello);
  else if (step.startsWith('device') && isLive && scene.deviceEnd === undefined)
    scene.deviceEnds(step === 'device fin' ? 'fin' : 'reset');
}
