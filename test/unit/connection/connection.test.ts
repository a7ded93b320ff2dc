import { describe, expect, test } from 'vitest';
import type { Connection } from '../../../src/connection/connection.ts';
import { PendingBytes } from '../../../src/policy/admission/pending-bytes.ts';
import { limits, packet, retryPolicy, Scene, type SceneOptions } from './scene.ts';

const { CONNECT, CONNECT5, ACCEPTED, ACCEPTED5, UNAVAILABLE, UNAVAILABLE5, BUSY5, BAD_LOGIN, AUTH5 } = packet;
const { ANONYMOUS5, ASSIGNED5 } = packet;
const placed = ['a answered after 0', 'placed at a', 'no timer'];

describe('a device is served', () => {
  test('from CONNECT to CONNACK, and from then on the engine moves the bytes', () => {
    const scene = new Scene().says(CONNECT);
    expect(scene.did()).toEqual(['dial a', 'timer 3000']);
    expect(scene.opens().did()).toEqual(['node gets CONNECT', 'timer 2500']);
    expect(scene.after(40).node(ACCEPTED).did()).toEqual([
      'a answered after 40',
      'placed at a',
      'no timer',
      'device gets ACCEPTED',
      'splice',
      'read device',
    ]);
  });

  test('and the time from its whole CONNECT on counts the wait, and the node that was tried before', () => {
    const scene = new Scene({ reconnectDelayMs: 4_000 }).says(CONNECT.subarray(0, 5)).after(1_000);
    scene.says(CONNECT.subarray(5)).after(4_000).refuses('ECONNREFUSED').opens().after(40).node(ACCEPTED);
    expect(scene.did()).toContain('b answered after 40');
    expect(scene.connackAfterMs).toBe(4_040);
  });

  test('when CONNECT and CONNACK come one byte at a time', () => {
    const scene = new Scene();
    for (const byte of CONNECT) scene.says(Buffer.of(byte));
    scene.opens();
    for (const byte of ACCEPTED) if (scene.spliced === undefined) scene.node(Buffer.of(byte));
    expect(scene.did()).toEqual([
      ...['dial a', 'timer 3000', 'node gets CONNECT', 'timer 2500'],
      ...[...placed, 'device gets ACCEPTED', 'splice', 'read device'],
    ]);
  });

  test('with what it sent behind CONNECT, verbatim and in order, whenever it came', () => {
    const scene = new Scene().says(CONNECT, 'one ').says('two ').opens();
    scene.says('three ').says('four').node(ACCEPTED);
    expect(scene.given.toString('latin1')).toBe(`${CONNECT.toString('latin1')}one two three four`);
  });

  test('and gets what the node sent behind CONNACK', () => {
    const scene = new Scene()
      .says(CONNECT)
      .opens()
      .node(Buffer.concat([ACCEPTED, Buffer.from('retained')]));
    expect(scene.did()).toContain('device gets ACCEPTED+retained');
  });

  test('or finally refused by its node: another one would not know better', () => {
    const scene = new Scene().says(CONNECT).opens().node(BAD_LOGIN);
    expect(scene.did().slice(-6)).toEqual([
      ...['a answered after 0', 'rejected: node-refused', 'no timer'],
      ...['device gets BAD_LOGIN', 'splice', 'read device'],
    ]);
    expect(scene.nodeEnds('fin').closes().did()).toContain('ended: node-closed');
  });

  test('AUTH of an enhanced authentication goes through to the device, and nobody sees how it ends (4.12)', () => {
    expect(new Scene().says(CONNECT5).opens().node(AUTH5).did().slice(-5)).toEqual([
      'placed at a, not accepted',
      ...['no timer', 'device gets AUTH5', 'splice', 'read device'],
    ]);
  });

  test('under the client id that the node assigns (MQTT 5, 3.2.2.3.7)', () => {
    const scene = new Scene().says(ANONYMOUS5).opens().node(ASSIGNED5);
    expect((scene.connection as Connection).clientId).toBe('auto-7');
  });
});

describe('where the pool remembers its devices', () => {
  const remembering = () => new Scene({ recallTimeoutMs: 50 }).says(CONNECT);

  test('an empty client id is nobody’s: nothing is asked, and all go where the strategy says', () => {
    expect(new Scene({ recallTimeoutMs: 50 }).says(ANONYMOUS5).did()).toContain('dial a');
  });

  test('the node that served the device last is tried first', () => {
    const scene = remembering();
    expect(scene.did()).toEqual(['timer 50', 'where was meter-1?']);
    expect(scene.remembers('c').did()).toEqual(['dial c', 'timer 3000']);
    expect(scene.refuses().did()).toContain('dial a');
  });

  test('nobody knows, and the strategy decides', () => {
    expect(remembering().remembers(undefined).did()).toContain('dial a');
  });

  test('an answer that is late is not waited for, and changes nothing', () => {
    const scene = remembering().after(50);
    expect(scene.did()).toContain('dial a');
    expect(scene.remembers('c').did()).toEqual([]);
  });

  test('what the device sends meanwhile goes to the node behind CONNECT', () => {
    const scene = remembering().says('early').remembers('b').opens();
    expect(scene.given.toString('latin1')).toBe(`${CONNECT.toString('latin1')}early`);
  });

  test('a device that leaves meanwhile is not placed', () => {
    const scene = remembering().deviceEnds('reset');
    scene.did();
    expect(scene.remembers('c').did()).toEqual([]);
  });
});

describe('a device that connects over and over', () => {
  const heldBack = () => new Scene({ reconnectDelayMs: 4_000, recallTimeoutMs: 50 }).says(CONNECT);

  test('waits before anything is done for it, and is then placed as ever', () => {
    const scene = heldBack();
    expect(scene.did()).toEqual(['timer 4000']);
    expect(scene.says('early').did()).toEqual([]);
    expect(scene.after(4_000).did()).toEqual(['timer 50', 'where was meter-1?']);
    scene.remembers('b').opens();
    expect(scene.given.toString('latin1')).toBe(`${CONNECT.toString('latin1')}early`);
  });

  test('is forgotten when it resets meanwhile', () => {
    const scene = heldBack().deviceEnds('reset');
    expect(scene.did().slice(1)).toEqual(['no timer', 'end device: reset']);
    expect(scene.after(4_000).closes().did()).toEqual(['ended: device-reset']);
  });

  test('is served though it has ended its side meanwhile: what it said before is heard', () => {
    const scene = heldBack().deviceEnds('fin').after(4_000).remembers('a');
    expect(scene.did().slice(1)).toContain('dial a');
  });

  test('is not read while it waits beyond what may be kept, and is read again', () => {
    const scene = heldBack().says(Buffer.alloc(limits.maxPacketBytes));
    expect(scene.held).toBe(true);
    scene.after(4_000).remembers('a');
    expect(scene.held).toBe(false);
  });
});

describe('a node that has as many as it may, or as many waiting', () => {
  test('is passed over', () => {
    const scene = new Scene({ full: ['a'], queues: { b: undefined } }).says(CONNECT);
    expect(scene.did()).toEqual(['dial c', 'timer 3000']);
    expect(scene.counted).toBe(1);
  });

  test.each([
    ['nodes-full', 'QUOTA5', { full: ['a', 'b'] }],
    ['nodes-busy', 'RATE5', { queues: { a: undefined, b: undefined } }],
  ] as const)('where all do, the device is told: %s', (label, reply, options) => {
    const scene = new Scene({ nodes: ['a', 'b'], ...options }).says(packet.CONNECT5);
    expect(scene.did()).toEqual([
      `rejected: ${label}`,
      `device gets ${reply}`,
      'timer 8000',
      'end device: flush',
    ]);
    expect(scene.counted).toBe(0);
  });

  test('is not what is told when another was asked and failed', () => {
    const scene = new Scene({ nodes: ['a', 'b'], full: ['b'] }).says(CONNECT).refuses();
    expect(scene.did()).toContain('rejected: no-node');
  });

  test('the device waits for its turn, with all that it sends, and no patience is lost', () => {
    const scene = new Scene({ queues: { a: 30_000 } }).says(CONNECT);
    expect(scene.did()).toEqual(['timer 30000']);
    expect(scene.says('early').after(30_000).did()).toEqual(['dial a', 'timer 3000']);
    scene.opens().node(packet.ACCEPTED);
    expect(scene.given.toString('latin1')).toBe(`${CONNECT.toString('latin1')}early`);
  });

  test('a device that leaves before its turn gives its place back', () => {
    const scene = new Scene({ queues: { a: 30_000 } }).says(CONNECT).deviceEnds('reset').closes();
    expect([scene.counted, scene.dials]).toEqual([0, 0]);
  });
});

describe('a node that does not answer costs the device nothing', () => {
  const next = ['dial b', 'timer 3000'];
  const dialled = () => {
    const scene = new Scene().says(CONNECT, 'more');
    scene.did();
    return scene;
  };
  const opened = (connect: Uint8Array = CONNECT) => {
    const scene = new Scene().says(connect, 'more').opens();
    scene.did();
    return scene;
  };

  test.each([
    ['ECONNREFUSED', 'refused'],
    ['ECONNRESET', 'refused'],
    ['ETIMEDOUT', 'timeout'],
    ['EHOSTUNREACH', 'unreachable'],
    ['ENETUNREACH', 'unreachable'],
    ['EMFILE', 'local'],
    ['EADDRNOTAVAIL', 'local'],
  ])('the dial fails with %s: %s', (errno, failure) => {
    expect(dialled().refuses(errno).did()).toEqual([`a failed: ${failure}`, ...next]);
  });

  test('no answer to SYN in time', () => {
    expect(dialled().after(retryPolicy.connectTimeoutMs).did()).toEqual([
      'end node: reset',
      'a failed: timeout',
      ...next,
    ]);
  });

  test('no CONNACK in time, nor any other sign of life: it is left with a DISCONNECT, so that no Will fires', () => {
    const scene = new Scene().says(CONNECT).opens();
    scene.did();
    expect(scene.after(retryPolicy.connackTimeoutMs / 2).did()).toEqual([
      'node gets \xe0\0',
      ...['end node: flush', 'a failed: connack-timeout', 'dial b', 'timer 3000'],
    ]);
  });

  test('with a reset, where the device is in the middle of something', () => {
    const scene = opened().says('half a packet');
    scene.did();
    expect(scene.after(retryPolicy.connackTimeoutMs / 2).did()).toContain('end node: reset');
  });

  test('no CONNACK from a node that lives: it is waited for, and nothing is held against it', () => {
    const scene = new Scene({ lives: true }).says(CONNECT).opens();
    scene.did();
    expect(scene.after(retryPolicy.connackTimeoutMs / 2).did()).toEqual(['is a gone?', 'timer 2500']);
    expect(scene.judges(undefined).after(retryPolicy.connackTimeoutMs).did()).not.toContain('dial b');
    expect(scene.node(ACCEPTED).did()).toContain('placed at a');
  });

  test('for as long as is allowed; then another is asked', () => {
    const scene = new Scene({ lives: true }).says(CONNECT).opens();
    scene.after(retryPolicy.connackDeadlineMs - 1).did();
    expect(scene.after(1).did()).toEqual(['node gets \xe0\0', 'end node: flush', 'dial b', 'timer 3000']);
  });

  test('no CONNACK from one that turns out to be gone', () => {
    const scene = new Scene({ lives: true })
      .says(CONNECT)
      .opens()
      .after(retryPolicy.connackTimeoutMs / 2);
    expect(scene.judges('no-answer').did()).toContain('a failed: connack-timeout');
  });

  test.each<SceneOptions>([
    {},
    { lives: true },
  ])('no CONNACK from the only node: it is waited for, as long as is allowed (%o)', (known) => {
    const scene = new Scene({ nodes: ['a'], ...known }).says(CONNECT).opens();
    for (let waitedMs = 0; waitedMs < retryPolicy.connackDeadlineMs / 2; waitedMs += 2_500) {
      scene.after(2_500);
      if (known.lives) scene.judges('no-answer');
    }
    expect(scene.did()).not.toContain('end node: flush');
    expect(scene.node(ACCEPTED).did()).toContain('placed at a');
  });

  test('no CONNACK from the last node that may be asked: likewise', () => {
    const scene = new Scene({ nodes: ['a', 'b'] }).says(CONNECT).opens();
    scene.after(retryPolicy.connackTimeoutMs / 2).opens();
    expect(scene.did()).toContain('dial b');
    expect(scene.after(retryPolicy.connackTimeoutMs * 4).did()).not.toContain('end node: flush');
    expect(scene.node(ACCEPTED).did()).toContain('placed at b');
  });

  test('closed before CONNACK after long: its cluster is to blame, not the node', () => {
    const scene = new Scene({ lives: true })
      .says(CONNECT)
      .opens()
      .after(retryPolicy.connackTimeoutMs / 2);
    scene.did();
    expect(scene.nodeEnds('fin').did()).toEqual(['end node: reset', 'dial b', 'timer 3000']);
  });

  test.each(['fin', 'reset', 'timeout'] as const)('closed before CONNACK: %s', (cause) => {
    const scene = opened().nodeEnds(cause);
    expect(scene.did()).toEqual(['end node: reset', 'a failed: closed-before-connack', ...next]);
  });

  test('closed after half a CONNACK: the other half of the next node is not added to it', () => {
    const scene = opened().node(ACCEPTED.subarray(0, 2)).nodeEnds('reset').opens();
    scene.did();
    expect(scene.node(ACCEPTED).did()).toContain('device gets ACCEPTED');
  });

  test.each([
    ['3.1.1 with 0x03', CONNECT, UNAVAILABLE],
    ['5.0 with 0x88', CONNECT5, UNAVAILABLE5],
    ['5.0 with 0x89', CONNECT5, BUSY5],
  ])('CONNACK says busy: %s', (_, connect, connack) => {
    expect(opened(connect).node(connack).did()).toEqual(['end node: reset', 'a failed: busy', ...next]);
  });

  test('the first packet is no CONNACK', () => {
    expect(opened().node(Buffer.from('HTTP/1.1 400')).did()).toEqual([
      'end node: reset',
      'a failed: closed-before-connack',
      ...next,
    ]);
  });

  test('the next node gets all the bytes again, those that followed too', () => {
    const scene = opened().says(' and more').nodeEnds('reset').opens();
    expect(scene.did()).toContain('node gets CONNECT+more and more');
  });
});

describe('trying ends', () => {
  test.each([
    [CONNECT, 'UNAVAILABLE'],
    [CONNECT5, 'UNAVAILABLE5'],
  ])('after the last node: CONNACK server unavailable', (connect, connack) => {
    const scene = new Scene({ nodes: ['a', 'b'] }).says(connect).refuses();
    scene.did();
    expect(scene.refuses().did()).toEqual([
      'b failed: refused',
      'rejected: no-node',
      `device gets ${connack}`,
      `timer ${limits.halfCloseTimeoutMs}`,
      'end device: flush',
    ]);
    expect(scene.closes().did()).toEqual(['ended: no-node']);
  });

  test.each([
    ['fin', 'flush', 'node-closed'],
    ['reset', 'reset', 'node-reset'],
  ] as const)('after two nodes that ended the link behind CONNECT, as the second did: %s', (cause, how, reason) => {
    const scene = new Scene().says(CONNECT).opens().nodeEnds('reset').opens();
    scene.did();
    expect(scene.nodeEnds(cause).did()).toEqual([
      'end node: reset',
      'b failed: closed-before-connack',
      'rejected: node-closed',
      how === 'flush' ? `timer ${limits.halfCloseTimeoutMs}` : 'no timer',
      `end device: ${how}`,
    ]);
    expect(scene.closes().did()).toEqual([`ended: ${reason}`]);
  });

  test('after nodes that are all busy: with what the last one said, in whatever pieces', () => {
    const moved = Buffer.of(0x20, 13, 0, 0x9d, 10, 0x1c, 0, 7, ...Buffer.from('other:1'));
    for (let cut = 1; cut < moved.length; cut++) {
      const scene = new Scene({ nodes: ['a', 'b'] }).says(CONNECT5).opens().node(BUSY5).opens();
      scene.node(moved.subarray(0, cut));
      scene.did();
      expect(scene.node(moved.subarray(cut)).did()).toEqual([
        'end node: reset',
        'b failed: busy',
        'rejected: node-refused',
        `device gets ${moved.toString('latin1')}`,
        `timer ${limits.halfCloseTimeoutMs}`,
        'end device: flush',
      ]);
    }
  });

  test('at once where there is no node at all', () => {
    expect(new Scene({ nodes: [] }).says(CONNECT).did()).toContain('device gets UNAVAILABLE');
  });

  test('after the attempts that are allowed', () => {
    const scene = new Scene({ nodes: ['a', 'b', 'c', 'd', 'e'] }).says(CONNECT).refuses().refuses().refuses();
    expect(scene.dials).toBe(retryPolicy.maxAttempts);
    expect(scene.did()).toContain('rejected: no-node');
  });

  test('at the deadline: a late attempt has only the time that is left', () => {
    const scene = new Scene().says(CONNECT).opens().after(5_000).opens();
    scene.did();
    expect(scene.after(5_000).did()).toContain('timer 2000');
    expect(scene.after(2_000).did()).toContain('device gets UNAVAILABLE');
  });
});

describe('a device is turned away', () => {
  const refused = (...bytes: (Uint8Array | string)[]) => new Scene().says(...bytes).did();
  const flush = [`timer ${limits.halfCloseTimeoutMs}`, 'end device: flush'];
  const reset = ['no timer', 'end device: reset'];

  test('by a rule, in the words of its protocol version', () => {
    const by = (refusal: 'banned' | 'not-authorized', connect: Uint8Array) =>
      new Scene({ refusal }).says(connect).did();
    expect(by('not-authorized', CONNECT)).toEqual([
      'rejected: not-authorized',
      'device gets NOT_AUTHORIZED',
      ...flush,
    ]);
    expect(by('banned', CONNECT5)).toEqual(['rejected: banned', 'device gets BANNED5', ...flush]);
  });

  test.each([
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\n')],
    ['TLS', Buffer.of(0x16, 3, 1)],
  ])('because it does not speak MQTT: %s', (_, bytes) => {
    expect(refused(bytes)).toEqual(['rejected: not-mqtt', ...reset]);
  });

  test.each([
    [2, 'PROTOCOL_VERSION'],
    [6, 'PROTOCOL_VERSION5'],
  ])('because of its protocol level %i [MQTT-3.1.2-2]', (level, connack) => {
    const unknown = CONNECT.with(8, level);
    expect(refused(unknown)).toEqual(['rejected: protocol-version', `device gets ${connack}`, ...flush]);
  });

  test('because its CONNECT is too large, before it has sent it', () => {
    expect(refused(Buffer.of(0x10, 0xff, 0xff, 0xff, 0x7f))).toEqual(['rejected: too-large', ...reset]);
  });

  test('because its CONNECT cannot be taken apart', () => {
    expect(refused(CONNECT.with(9, 0x82))).toEqual(['rejected: malformed', ...reset]);
  });

  test('because no whole CONNECT came in time, however it was dribbled', () => {
    const scene = new Scene().says(CONNECT.subarray(0, 1)).after(9_000).says(CONNECT.subarray(1, 5));
    expect(scene.did()).toEqual([]);
    expect(scene.after(1_000).did()).toEqual(['rejected: connect-timeout', ...reset]);
    expect(scene.closes().did()).toEqual(['ended: connect-timeout']);
  });

  test('and reset when it does not take its last bytes', () => {
    const scene = new Scene({ refusal: 'banned' }).says(CONNECT);
    scene.did();
    expect(scene.after(limits.halfCloseTimeoutMs).did()).toEqual(['end device: reset']);
    expect(scene.closes().did()).toEqual(['ended: connect-rejected']);
  });

  test('and not reset while it takes them', () => {
    const scene = new Scene({ refusal: 'banned' }).says(CONNECT);
    scene.takes = [true];
    scene.did();
    expect(scene.after(limits.halfCloseTimeoutMs).did()).toEqual([`timer ${limits.halfCloseTimeoutMs}`]);
    expect(scene.after(limits.halfCloseTimeoutMs).did()).toEqual(['end device: reset']);
  });
});

describe('a device breaks WebSocket’s protocol, and was told', () => {
  test('before its CONNECT: it is turned away, and keeps its time to read why', () => {
    const scene = new Scene().says(CONNECT.subarray(0, 4)).deviceEnds('websocket');
    expect(scene.did()).toEqual([
      'rejected: websocket-refused',
      `timer ${limits.halfCloseTimeoutMs}`,
      'end device: flush',
    ]);
    expect(scene.closes().did()).toEqual(['ended: protocol-error']);
  });

  test('while its node is dialled: the link is given up', () => {
    const scene = new Scene().says(CONNECT);
    scene.did();
    expect(scene.deviceEnds('websocket').did()).toContain('end device: flush');
    expect(scene.closes().did().at(-1)).toBe('ended: protocol-error');
  });
});

describe('a device leaves', () => {
  test.each(['fin', 'reset'] as const)('before its CONNECT is whole: %s', (cause) => {
    const scene = new Scene().says(CONNECT.subarray(0, 4)).deviceEnds(cause);
    expect(scene.did()).toEqual(['no timer', 'end device: reset']);
    expect(scene.closes().did()).toEqual([`ended: device-${cause === 'fin' ? 'closed' : 'reset'}`]);
  });

  test('politely while its node is dialled: it may still read, so its node is still found', () => {
    const scene = new Scene().says(CONNECT, 'publish').deviceEnds('fin');
    scene.did();
    expect(scene.refuses().opens().node(ACCEPTED).did()).toContain('device gets ACCEPTED');
  });

  test.each(['dialling', 'answering'] as const)('politely while %s: its node is told so at once', (phase) => {
    const scene = new Scene().says(CONNECT, 'publish');
    if (phase === 'answering') scene.opens();
    scene.did();
    scene.deviceEnds('fin');
    if (phase === 'dialling') scene.opens();
    expect(scene.did()).toContain('finish node');
    expect(scene.given.toString('latin1')).toBe(`${CONNECT.toString('latin1')}publish`);
  });

  test('politely before it is served: a node that closes is taken at its word, and no other is asked', () => {
    const scene = new Scene().says(CONNECT, 'publish').deviceEnds('fin').opens();
    scene.did();
    expect(scene.nodeEnds('fin').did()).toEqual([
      `timer ${limits.halfCloseTimeoutMs}`,
      'end node: reset',
      'end device: flush',
    ]);
  });

  test.each([
    'device',
    'node',
  ] as const)('and the other side reads slowly: it has its time anew as long as it reads (%s)', (who) => {
    const scene = new Scene().served();
    if (who === 'device') scene.deviceEnds('fin');
    else scene.nodeEnds('fin');
    scene.takes = [true, true];
    scene.did();
    for (let i = 0; i < 2; i++)
      expect(scene.after(limits.halfCloseTimeoutMs).did()).toEqual([`timer ${limits.halfCloseTimeoutMs}`]);
    expect(scene.after(limits.halfCloseTimeoutMs).did()).toContain('end device: reset');
  });

  test('politely before it is served: how long the node may still send is bounded', () => {
    const scene = new Scene().says(CONNECT).deviceEnds('fin').opens().node(ACCEPTED);
    scene.did();
    expect(scene.after(limits.halfCloseTimeoutMs).did()).toEqual([
      'no timer',
      'end node: reset',
      'end device: reset',
    ]);
    expect(scene.closes().did()).toEqual(['ended: device-closed']);
  });

  test.each([
    'dialling',
    'answering',
  ] as const)('by reset while %s: the link is reset, the count given back', (phase) => {
    const scene = new Scene().says(CONNECT);
    if (phase === 'answering') scene.opens();
    scene.did();
    expect(scene.deviceEnds('reset').did()).toEqual(['no timer', 'end node: reset', 'end device: reset']);
    expect(scene.closes().did()).toEqual(['ended: device-reset']);
    expect(scene.counted).toBe(0);
  });

  test.each([
    ['fin', 'device-closed'],
    ['reset', 'device-reset'],
    ['timeout', 'device-timeout'],
  ] as const)('after it was served, %s: the node has a bounded time to end too', (cause, reason) => {
    const scene = new Scene().served().deviceEnds(cause);
    expect(scene.did()).toEqual([`timer ${limits.halfCloseTimeoutMs}`]);
    expect(scene.nodeEnds('fin').closes().did()).toContain(`ended: ${reason}`);
  });

  test('and its node is not blamed for what follows', () => {
    const scene = new Scene().served().deviceEnds('fin').nodeEnds('reset');
    expect(scene.did().join()).not.toContain('lost');
  });
});

describe('a node leaves a served device', () => {
  test.each([
    ['fin', 'node-closed'],
    ['reset', 'node-reset'],
    ['timeout', 'node-timeout'],
  ] as const)('%s: told once, given back at once, and the device has a bounded time', (cause, reason) => {
    const scene = new Scene().served().nodeEnds(cause);
    expect(scene.did()).toEqual([`a lost: ${cause}`, `timer ${limits.halfCloseTimeoutMs}`]);
    expect(scene.counted).toBe(0);
    scene.after(limits.halfCloseTimeoutMs);
    expect(scene.did()).toContain('end device: reset');
    expect(scene.closes().did()).toEqual([`ended: ${reason}`]);
  });
});

describe('the broker has accepted a newer connection of a relayed device', () => {
  test('that ends nobody', () => {
    const scene = new Scene().served();
    (scene.connection as Connection).superseded(true);
    expect(scene.did()).toEqual([]);
  });

  test.each([
    'fin',
    'reset',
  ] as const)('%s: a link that ends then was taken over, and its node is not blamed', (cause) => {
    const scene = new Scene().served();
    (scene.connection as Connection).superseded(true);
    expect(scene.nodeEnds(cause).did()).toEqual([`timer ${limits.halfCloseTimeoutMs}`]);
    expect(scene.closes().did()).toEqual(['ended: taken-over']);
  });
});

describe('a device is ended from outside', () => {
  test('once served: its link is reset so that its Will fires, and it gets a FIN', () => {
    const scene = new Scene().served();
    scene.connection.end('kicked');
    expect(scene.did()).toEqual([
      `timer ${limits.halfCloseTimeoutMs}`,
      'end node: reset',
      'end device: flush',
    ]);
    scene.connection.end('shutdown');
    expect(scene.closes().did()).toEqual(['ended: kicked']);
  });

  test.each([0, 1, 2])('before it is served (%i)', (steps) => {
    const scene = new Scene();
    if (steps > 0) scene.says(CONNECT);
    if (steps > 1) scene.opens();
    scene.connection.end('shutdown');
    expect(scene.did()).toContain('end device: flush');
    expect(scene.closes().did()).toEqual(['ended: shutdown']);
    expect(scene.counted).toBe(0);
  });
});

describe('what a device sends before its node answered', () => {
  const flood = 'x'.repeat(limits.maxPacketBytes);

  test.each(['dialling', 'answering'])('is bounded: it is no longer read (%s)', (phase) => {
    const scene = new Scene().says(CONNECT);
    if (phase === 'answering') scene.opens();
    expect(scene.held).toBe(false);
    expect(scene.says(flood).held).toBe(true);
  });

  test('is read again once it is served', () => {
    const scene = new Scene().says(CONNECT).says(flood).opens().node(ACCEPTED);
    expect(scene.held).toBe(false);
  });

  test('is held still while the next node is tried', () => {
    expect(new Scene().says(CONNECT).says(flood).refuses().opens().held).toBe(true);
  });
});

test('5.0 is served like 3.1.1', () => {
  expect(new Scene().says(CONNECT5).opens().node(ACCEPTED5).did()).toContain('device gets ACCEPTED5');
});

describe('what is kept of a device before a node is asked', () => {
  const head = Buffer.from('\x10\x3c\0\x04MQTT\x04\x02', 'latin1');
  const begun = (bytes: number) => Buffer.concat([head, Buffer.alloc(bytes - head.length)]);

  test('has a bound for all together, and the one that has sent most is reset', () => {
    const pending = new PendingBytes(30, 10);
    const [large, small] = [new Scene({ pending }), new Scene({ pending })];
    large.says(begun(38));
    expect([large.did(), small.says(begun(12)).did()]).toEqual([[], []]);
    small.says(Buffer.alloc(1));
    expect(large.did()).toEqual(['rejected: pending-bytes', 'no timer', 'end device: reset']);
    expect(small.says(Buffer.alloc(27)).did()).toEqual([]);
  });

  test('counts no more when the device has left', () => {
    const pending = new PendingBytes(30, 10);
    for (let i = 0; i < 5; i++) {
      const scene = new Scene({ pending }).says(begun(40));
      expect(scene.did()).toEqual([]);
      scene.deviceEnds('reset').closes();
    }
  });
});
