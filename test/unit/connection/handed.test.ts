import { Buffer } from 'node:buffer';
import { describe, expect, test } from 'vitest';
import { Connection } from '../../../src/connection/connection.ts';
import { readHandedConnection, readHandedPeer } from '../../../src/connection/handed.ts';
import { describePeer } from '../../../src/connection/handed-peer.ts';
import { HANDED_VERSION } from '../../../src/connection/handed-version.ts';
import type { Peer } from '../../../src/connection/wire.ts';
import { packet, Scene } from './scene.ts';

const relayed = () => new Scene().served();

describe('a connection goes to another process', () => {
  test('before its CONNECT is whole, with what has come of it', () => {
    const scene = new Scene().says(packet.CONNECT.subarray(0, 9)).handOver();
    expect(scene.handed).toBe(1);
    expect(scene.did()).toEqual([]);
    expect(scene.says(packet.CONNECT.subarray(9)).did()).toEqual(['dial a', 'timer 3000']);
  });

  test('while it is held back, and with its timer', () => {
    const scene = new Scene({ reconnectDelayMs: 700 }).says(packet.CONNECT, 'more').handOver();
    expect(scene.did()).toEqual(['timer 700']);
    expect(scene.after(700).did()).toEqual(['dial a', 'timer 3000']);
    expect(scene.opens().given.toString('latin1')).toBe(`${packet.CONNECT.toString('latin1')}more`);
  });

  test('while a node relays it, and is counted there once', () => {
    const scene = relayed().handOver();
    expect([scene.handed, scene.counted, scene.did()]).toEqual([1, 1, []]);
    expect(scene.nodeEnds('reset').did()).toEqual(['a lost: reset', 'timer 8000']);
    expect(scene.closes().did()).toEqual(['ended: node-reset']);
    expect(scene.counted).toBe(0);
  });

  test('not while its node is sought, nor while it ends', () => {
    expect(new Scene().says(packet.CONNECT).handOver().handed).toBe(0);
    expect(relayed().nodeEnds('fin').handOver().handed).toBe(0);
    const ended = relayed();
    ended.connection.end('kicked');
    expect(ended.handOver().handed).toBe(0);
  });

  test('not with more before its node than nobody counts', () => {
    const long = Buffer.concat([Buffer.of(0x10, 0xff, 0x7f, 0, 4), Buffer.from('MQTT'), Buffer.alloc(5_000)]);
    long[9] = 4;
    const scene = new Scene({ maxPacketBytes: 1 << 20 }).says(long);
    expect([scene.deviceDone, scene.handOver().handed]).toEqual([undefined, 0]);
  });
});

describe('a connection whose thread ends goes to the next thread', () => {
  const left = (scene: Scene) => {
    if (scene.connection instanceof Connection) scene.connection.stepBack();
    return scene.handOver();
  };

  test('while its node has not answered, which hears a goodbye: the next is sent the same', () => {
    const scene = left(new Scene().says(packet.CONNECT).opens());
    expect(scene.did().slice(-4)).toEqual(['timer 2500', 'node gets \xe0\x00', 'end node: flush', 'timer 1']);
    expect([scene.handed, scene.counted]).toEqual([1, 0]);
    expect(scene.after(1).did()).toEqual(['read device', 'dial a', 'timer 3000']);
    expect(scene.opens().given).toEqual(packet.CONNECT);
  });

  test('with what the device has said behind it, where a goodbye could be taken for more of that', () => {
    const scene = left(new Scene().says(packet.CONNECT).opens().says('more'));
    expect(scene.did().slice(-2)).toEqual(['end node: reset', 'timer 1']);
    expect(scene.after(1).opens().given.toString('latin1')).toBe(`${packet.CONNECT.toString('latin1')}more`);
  });

  test('while its node is dialled, and with the end of what it says', () => {
    const scene = left(new Scene().says(packet.CONNECT).deviceEnds('fin'));
    expect(scene.handed).toBe(1);
    expect(scene.after(1).opens().did().slice(-2)).toEqual(['finish node', 'timer 2500']);
  });

  test('while it is asked where it was last: that is asked anew', () => {
    const scene = left(new Scene({ recallTimeoutMs: 100 }).says(packet.CONNECT));
    expect(scene.handed).toBe(1);
    scene.did();
    expect(scene.after(1).remembers('b').did()).toContain('dial b');
  });

  test('as it is while a node serves it, and not while it ends', () => {
    const scene = left(relayed());
    expect([scene.handed, scene.counted]).toEqual([1, 1]);
    expect(left(relayed().nodeEnds('fin')).handed).toBe(0);
  });
});

describe('what another process has described', () => {
  const handed = () => structuredClone(relayed().connection.describe());

  test('of another version is refused, with the place and never the content', () => {
    const value = { ...handed(), version: HANDED_VERSION + 1 };
    expect(() => readHandedConnection(value)).toThrow(
      "a connection of another process cannot be understood at 'version' (invalid_value)",
    );
  });

  test('and is no such thing is refused', () => {
    for (const value of [undefined, null, 7, 'x', [], {}, { ...handed(), more: 1 }])
      expect(() => readHandedConnection(value)).toThrow('cannot be understood');
  });

  test.each([
    ['node', { nodes: ['b'] }, "node 'a'"],
    ['pool', { refusal: 'banned' as const }, "pool 'pool'"],
  ])('at a %s that is not known here is refused, and counted nowhere', (_, options, what) => {
    const scene = new Scene(options);
    expect(() => scene.takeOver(readHandedConnection(handed()))).toThrow(what);
    expect(scene.counted).toBe(0);
  });
});

describe('a peer', () => {
  const peer: Peer = {
    ...{ remoteAddress: '10.0.0.1', ipv4: 0x0a000001, remotePort: 4000, serverName: 'a.example' },
    destination: { address: '10.0.0.2', port: 1883 },
    tlvs: [{ type: 2, value: Buffer.from('authority').subarray(2) }],
    tls: {
      ...{ version: 'TLSv1.3', cipher: 'X', serverName: undefined, alpn: 'mqtt' },
      clientCertificateCn: 'dev',
    },
  };

  test('goes over whole', () => {
    const read = readHandedPeer(structuredClone(describePeer(peer)));
    expect(read).toEqual({ ...peer, tlvs: [{ type: 2, value: Uint8Array.from(Buffer.from('thority')) }] });
  });

  test('of another shape is refused', () => {
    expect(() => readHandedPeer({ ...describePeer(peer), remotePort: -1 })).toThrow("at 'remotePort'");
  });
});
