import { describe, expect, it } from 'vitest';
import type { SessionOptions } from '../../src/session/index.ts';
import { expectLinear, stepsOf } from '../support/steps.ts';
import { bytesOf } from '../unit/session/packet-text.ts';
import { Stage } from '../unit/session/transcript.ts';

/** What one device or one node can send to a session costs in proportion to its size. Steps are counted, not time. */

const limits = {
  packetsPerCall: Number.POSITIVE_INFINITY,
  maxPacketBytes: 1 << 24,
  maxOfflineBytes: 1 << 24,
  maxInflightBytes: 1 << 24,
  maxStateBytes: 1 << 24,
};

type Side = 'fromDevice' | 'fromNode';

function attached(
  version: 4 | 5,
  connect = 'CONNECT id=dev',
  connack = 'CONNACK',
  others: Partial<SessionOptions> = {},
): Stage {
  const stage = new Stage(version, connect, { ...limits, ...others });
  stage.say('link');
  stage.say(`node> ${connack}`);
  return stage;
}

/** Packets one behind another, made anew for each index. */
function packets(n: number, packet: (i: number) => string, version: 4 | 5 = 4): Buffer {
  return Buffer.concat(Array.from({ length: n }, (_, i) => bytesOf(packet(i), version)));
}

/** Feeds it as an engine does: at most one read at a time. */
function feed(stage: Stage, side: Side, bytes: Uint8Array, piece = 65_536): void {
  for (let at = 0; at < bytes.length; at += piece) {
    stage.session[side](bytes, at, Math.min(bytes.length, at + piece));
  }
}

function quiet(stage: Stage): Stage {
  stage.output.toNode = () => undefined;
  stage.output.toDevice = () => undefined;
  return stage;
}

function moved(stage: Stage, connack: string): Stage {
  stage.say('lost');
  stage.say('link');
  stage.say(`node> ${connack}`);
  return quiet(stage);
}

/** An order of the ids 1 to n in which none is where it would be looked for first. */
const shuffled = (i: number, n: number) => ((i * 7919) % n) + 1;

function subscribed(n: number): Stage {
  const stage = quiet(attached(4));
  for (let at = 0; at < n; at += 100) {
    feed(stage, 'fromDevice', bytesOf(`SUBSCRIBE #1 ${filters(100, at)}`, 4));
    feed(stage, 'fromNode', bytesOf(`SUBACK #1 ${' 0'.repeat(100)}`, 4));
  }
  return stage;
}

function filters(n: number, from = 0): string {
  return Array.from({ length: n }, (_, i) => `f/${from + i}:0`).join(' ');
}

describe('a device', () => {
  it('asks for many filters at once', () => {
    expectLinear(1000, (n) => {
      const stage = quiet(attached(4));
      const subscribe = bytesOf(`SUBSCRIBE #1 ${filters(n)}`, 4);
      const suback = bytesOf(`SUBACK #1 ${' 0'.repeat(n)}`, 4);
      return () => {
        feed(stage, 'fromDevice', subscribe);
        feed(stage, 'fromNode', suback);
      };
    });
  });

  it('asks for one known filter many times in a packet, where it has many others', () => {
    expectLinear(1000, (n) => {
      const stage = subscribed(2 * n);
      const subscribe = bytesOf(`SUBSCRIBE #1 ${' f/7:0'.repeat(n)}`, 4);
      const suback = bytesOf(`SUBACK #1 ${' 0'.repeat(n)}`, 4);
      return () => {
        feed(stage, 'fromDevice', subscribe);
        feed(stage, 'fromNode', suback);
      };
    });
  });

  it('takes back many filters, one packet each', () => {
    expectLinear(500, (n) => {
      const stage = subscribed(n);
      const unsubscribe = packets(n, (i) => `UNSUBSCRIBE #${i + 1} f/${shuffled(i, n) - 1}`);
      const unsuback = packets(n, (i) => `UNSUBACK #${i + 1}`);
      return () => {
        feed(stage, 'fromDevice', unsubscribe);
        feed(stage, 'fromNode', unsuback);
      };
    });
  });

  it('sends PUBRELs of unknown ids', () => {
    expectLinear(4000, (n) => {
      const stage = quiet(attached(4));
      const bytes = packets(n, (i) => `PUBREL #${i + 1}`);
      return () => feed(stage, 'fromDevice', bytes);
    });
  });

  it.each(['', ' dup'])('publishes%s to a node that does not acknowledge', (dup) => {
    expectLinear(4000, (n) => {
      const stage = quiet(attached(4));
      const bytes = packets(n, (i) => `PUBLISH #${i + 1} q1${dup} a=x`);
      return () => feed(stage, 'fromDevice', bytes);
    });
  });

  it('publishes under one packet id all the time', () => {
    expectLinear(4000, (n) => {
      const stage = quiet(attached(4));
      const bytes = packets(n, () => 'PUBLISH #1 q1 a=x');
      const acks = packets(n, () => 'PUBACK #1');
      return () => {
        feed(stage, 'fromDevice', bytes);
        feed(stage, 'fromNode', acks);
      };
    });
  });

  it('acknowledges what nobody gave it, while much is open', () => {
    expectLinear(4000, (n) => {
      const stage = quiet(attached(4));
      feed(
        stage,
        'fromNode',
        packets(3 * n, (i) => `PUBLISH #${i + 1} q1 a=x`),
      );
      const bytes = packets(n, () => 'PUBACK #65000');
      return () => feed(stage, 'fromDevice', bytes);
    });
  });

  it('acknowledges in any order', () => {
    expectLinear(4000, (n) => {
      const stage = quiet(attached(4));
      feed(
        stage,
        'fromNode',
        packets(n, (i) => `PUBLISH #${i + 1} q1 a=x`),
      );
      const bytes = packets(n, (i) => `PUBACK #${shuffled(i, n)}`);
      return () => feed(stage, 'fromDevice', bytes);
    });
  });

  it('pings while no node has its session', () => {
    expectLinear(4000, (n) => {
      const stage = quiet(attached(4));
      stage.session.detached();
      const bytes = packets(n, () => 'PINGREQ');
      return () => feed(stage, 'fromDevice', bytes);
    });
  });

  it('fills the offline buffer, which goes to the next node', () => {
    expectLinear(2000, (n) => {
      const stage = quiet(attached(4));
      stage.session.detached();
      stage.session.connectPacket();
      const bytes = packets(n, (i) => `PUBLISH #${i + 1} q1 a=x`);
      return () => {
        feed(stage, 'fromDevice', bytes);
        feed(stage, 'fromNode', bytesOf('CONNACK present', 4));
      };
    });
  });

  it('gives topic aliases', () => {
    expectLinear(2000, (n) => {
      const stage = quiet(attached(5, 'CONNECT id=dev', 'CONNACK topicAliasMaximum:65535'));
      const bytes = packets(n, (i) => `PUBLISH t/${i}=x topicAlias:${i + 1}`, 5);
      return () => feed(stage, 'fromDevice', bytes);
    });
  });

  it('sends a large packet byte by byte', () => {
    expectLinear(10_000, (n) => {
      const stage = quiet(attached(4));
      const bytes = bytesOf(`PUBLISH #1 q1 a=${'x'.repeat(n)}`, 4);
      return () => feed(stage, 'fromDevice', bytes, 1);
    });
  });
});

describe('a node', () => {
  it('acknowledges in any order', () => {
    expectLinear(4000, (n) => {
      const stage = quiet(attached(4));
      feed(
        stage,
        'fromDevice',
        packets(n, (i) => `PUBLISH #${i + 1} q1 a=x`),
      );
      const bytes = packets(n, (i) => `PUBACK #${shuffled(i, n)}`);
      return () => feed(stage, 'fromNode', bytes);
    });
  });

  it('acknowledges what nobody sent, while much is in flight', () => {
    expectLinear(4000, (n) => {
      const stage = quiet(attached(4));
      feed(
        stage,
        'fromDevice',
        packets(3 * n, (i) => `PUBLISH #${i + 1} q1 a=x`),
      );
      const bytes = packets(n, () => 'PUBACK #65000');
      return () => feed(stage, 'fromNode', bytes);
    });
  });

  it('delivers under one packet id all the time', () => {
    expectLinear(4000, (n) => {
      const stage = quiet(attached(4));
      const bytes = packets(n, () => 'PUBLISH #1 q1 a=x');
      return () => feed(stage, 'fromNode', bytes);
    });
  });

  it.each([
    'CONNACK',
    'CONNACK present',
  ])('delivers new messages where as many of a lost one are open (%s)', (connack) => {
    expectLinear(1000, (n) => {
      const stage = attached(4);
      feed(
        quiet(stage),
        'fromNode',
        packets(n, (i) => `PUBLISH #${i + 1} q1 a=old`),
      );
      moved(stage, connack);
      const bytes = packets(n, (i) => `PUBLISH #${i + 1} q1 a=new`);
      const acks = packets(n, (i) => `PUBACK #${shuffled(i, n)}`);
      return () => {
        feed(stage, 'fromNode', bytes);
        feed(stage, 'fromDevice', acks);
      };
    });
  });

  it('delivers where the Receive Maximum of the device is used up again and again', () => {
    expectLinear(500, (n) => {
      const stage = attached(5, `CONNECT id=dev receiveMaximum:${n}`);
      feed(
        quiet(stage),
        'fromNode',
        packets(n, (i) => `PUBLISH #${i + 1} q1 a=old`, 5),
      );
      moved(stage, 'CONNACK present');
      const turns = Array.from({ length: n }, (_, i) => [
        bytesOf(`PUBLISH #${i + n + 1} q1 a=new`, 5),
        bytesOf(`PUBACK #${i + 1}`, 5),
      ]);
      return () => {
        for (const [message, ack] of turns) {
          feed(stage, 'fromNode', message as Buffer);
          feed(stage, 'fromDevice', ack as Buffer);
        }
      };
    });
  });

  it('makes room for one message at a time, where it promises less than the first', () => {
    expectLinear(500, (n) => {
      const stage = attached(5);
      feed(
        quiet(stage),
        'fromDevice',
        packets(n, (i) => `PUBLISH #${i + 1} q1 a=x`, 5),
      );
      moved(stage, 'CONNACK present receiveMaximum:1');
      const bytes = packets(n, (i) => `PUBACK #${i + 1}`, 5);
      return () => feed(stage, 'fromNode', bytes);
    });
  });

  const unanswered = [
    ['PUBLISH', (i: number) => `PUBLISH #${i + 1} q1 a=x`],
    ['SUBSCRIBE', (i: number) => `SUBSCRIBE #${i + 1} f/${i}:0`],
  ] as const;

  /** A session of which so much is to be sent again when the node has answered. */
  function lost(n: number, packet: (i: number) => string): Stage {
    const stage = quiet(attached(4, undefined, undefined, { packetsPerCall: 100 }));
    feed(stage, 'fromDevice', packets(n, packet));
    while (stage.session.hasDeviceRest) stage.session.goOnDevice();
    stage.session.detached();
    stage.session.connectPacket();
    return stage;
  }

  it.each(unanswered)('is sent again what another has not acknowledged (%s)', (_, packet) => {
    expectLinear(2000, (n) => {
      const stage = lost(n, packet);
      return () => {
        feed(stage, 'fromNode', bytesOf('CONNACK present', 4));
        while (stage.session.hasDeviceRest) stage.session.goOnDevice();
      };
    });
  });

  it.each(unanswered)('is sent a part of it in each call, however much it is (%s)', (_, packet) => {
    const [some = 0, more = 0] = [1000, 8000].map((n) => {
      const stage = lost(n, packet);
      feed(stage, 'fromNode', bytesOf('CONNACK present', 4));
      return stepsOf(() => stage.session.goOnDevice());
    });
    expect(some).toBeGreaterThan(0);
    expect(more).toBeLessThan(2 * some);
  });

  it('answers replayed subscriptions in any order', () => {
    expectLinear(800, (n) => {
      const stage = subscribed(n);
      stage.session.detached();
      stage.session.connectPacket();
      const replays = Math.ceil(n / 8);
      const bytes = packets(replays, (i) => `SUBACK #${0x1_0000 - shuffled(i, replays)}${' 0'.repeat(8)}`);
      return () => {
        feed(stage, 'fromNode', bytesOf('CONNACK', 4));
        feed(stage, 'fromNode', bytes);
      };
    });
  });

  it('sends retained messages where the device has asked for much since it moved', () => {
    expectLinear(400, (n) => {
      const stage = subscribed(100);
      stage.session.detached();
      stage.session.connectPacket();
      feed(stage, 'fromNode', bytesOf('CONNACK', 4));
      feed(
        stage,
        'fromNode',
        packets(13, (i) => `SUBACK #${0xffff - i}${' 0'.repeat(8)}`),
      );
      feed(stage, 'fromDevice', bytesOf(`SUBSCRIBE #1 ${filters(n, 1000)}`, 4));
      const bytes = packets(n, (i) => `PUBLISH retain f/${1000 + i}=x`);
      return () => feed(stage, 'fromNode', bytes);
    });
  });

  it('sends a large packet byte by byte', () => {
    expectLinear(10_000, (n) => {
      const stage = quiet(attached(4));
      const bytes = bytesOf(`PUBLISH #1 q1 a=${'x'.repeat(n)}`, 4);
      return () => feed(stage, 'fromNode', bytes, 1);
    });
  });
});
