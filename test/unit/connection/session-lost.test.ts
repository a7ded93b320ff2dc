import { describe, expect, test } from 'vitest';
import { moves } from './scene.ts';
import {
  drainedAndAsked,
  goOn,
  lostAndAsked,
  PACE_MS,
  type SessionScene,
  type SessionSceneOptions,
  served,
} from './session-scene.ts';

// A node is lost, and the session goes on at another while the device stays connected.

const v5 = { version: 5 } as const;

describe('a lost link', () => {
  test.each([
    'fin',
    'reset',
    'timeout',
    'error',
  ])('by %s: another node is asked at its turn, as the device asked', (cause) => {
    goOn(
      served('CONNECT id=dev clean'),
      `
      -- a is lost. After its turn b is asked, and from then on nothing differs for the device.
      a: ${cause}
        a lost: ${cause}
        end a: reset
      time: ${PACE_MS - 1}
      time: 1
        dial b
      b: opens
        b gets CONNECT id=dev clean
      time: 5
      b: CONNACK
        moved (link-lost) from a to b rebuilt after ${PACE_MS + 5}
      device: PUBLISH t=x
        b gets PUBLISH t=x
      b: PUBLISH u=y
        device gets PUBLISH u=y`,
    );
  });

  test('at 5.0 too; the session is there already', () => {
    goOn(
      served('CONNECT id=dev clean sessionExpiryInterval:60', v5),
      `
      -- The cluster still has the session: b has it at once.
      a: reset
        a lost: reset
        end a: reset
      time: ${PACE_MS}
        dial b
      b: opens
        b gets CONNECT id=dev sessionExpiryInterval:60
      b: CONNACK present
        moved (link-lost) from a to b present after ${PACE_MS}`,
    );
  });

  test('what the device says meanwhile waits, and is said in order; its PINGREQ is answered (rules 6 and 16)', () => {
    goOn(
      served(),
      `
      -- a is lost, and the device goes on speaking. b gets it in order; the PINGREQ is answered here.
      a: reset
        a lost: reset
        end a: reset
      device: PUBLISH q1 #1 t=1 | PINGREQ | PUBLISH t=2
        device gets PINGRESP
      time: ${PACE_MS}
        dial b
      device: PUBLISH t=3
      b: opens
        b gets CONNECT id=dev
      b: CONNACK
        b gets PUBLISH #1 q1 t=1
        b gets PUBLISH t=2
        b gets PUBLISH t=3
        moved (link-lost) from a to b rebuilt after ${PACE_MS}`,
    );
  });

  test('beyond the bound the device is not read, until a node has the session', () => {
    const long = 'x'.repeat(60);
    goOn(
      served(),
      `
      -- a is lost, and the device says more than may be kept: it is not read until b has the session.
      a: reset
        a lost: reset
        end a: reset
      device: PUBLISH t=${long}
        hold device
      time: ${PACE_MS}
        dial b
      b: opens
        b gets CONNECT id=dev
      b: CONNACK present
        b gets PUBLISH t=${long}
        moved (link-lost) from a to b present after ${PACE_MS}
        read device`,
    );
  });

  test('the node that it comes from is asked last, and may take it back', () => {
    const scene = served();
    scene.nodes = ['a', 'b'];
    goOn(
      scene,
      `
      -- a is lost and b is down: a is tried last, and has been started again.
      a: reset
        a lost: reset
        end a: reset
      time: ${PACE_MS}
        dial b
      b: refuses
        b failed: refused
      time: ${PACE_MS}
        dial a
      a: opens
        a gets CONNECT id=dev
      a: CONNACK
        moved (link-lost) from a to a rebuilt after ${2 * PACE_MS}`,
    );
  });

  test.each(['CONNACK code=3', 'CONNACK code=2', 'reset'])('the next node does not take it: %s', (answer) => {
    const failure = { 'CONNACK code=3': 'busy', reset: 'closed-before-connack' }[answer];
    goOn(
      lostAndAsked(),
      `
      b: ${answer}
        end b: reset
        ${failure === undefined ? '--' : `b failed: ${failure}`}
      time: ${PACE_MS}
        dial c`,
    );
  });

  test('a subscription is replayed first; a node lost in the middle of that is followed by the next', () => {
    goOn(
      served(),
      `
      -- b dies in the middle of the replayed SUBSCRIBE: c gets it anew.
      device: SUBSCRIBE #1 t:1
        a gets SUBSCRIBE #1 t:1
      a: SUBACK #1 1
        device gets SUBACK #1 1
      a: reset
        a lost: reset
        end a: reset
      time: ${PACE_MS}
        dial b
      b: opens
        b gets CONNECT id=dev
      b: CONNACK
        b gets SUBSCRIBE #1 t:1
      b: fin
        end b: reset
        b failed: closed-before-connack
      time: ${PACE_MS}
        dial c
      c: opens
        c gets CONNECT id=dev
      c: CONNACK
        c gets SUBSCRIBE #1 t:1
      c: SUBACK #1 1
        moved (link-lost) from a to c rebuilt after ${2 * PACE_MS}`,
    );
  });

  test('a node that grants less than before ends it, rather than a lie (rule 7)', () => {
    goOn(
      served('CONNECT id=dev', v5),
      `
      -- b refuses a subscription that a had granted: the device is told, rather than left without it.
      device: SUBSCRIBE #1 t:1
        a gets SUBSCRIBE #1 t:1
      a: SUBACK #1 1
        device gets SUBACK #1 1
      a: reset
        a lost: reset
        end a: reset
      time: ${PACE_MS}
        dial b
      b: opens
        b gets CONNECT id=dev
      b: CONNACK
        b gets SUBSCRIBE #1 t:1+rh2
      b: SUBACK #1 135
        device gets DISCONNECT code=135
        end b: reset
        end device: flush
      wire: closed
        ended: granted-less`,
    );
  });

  test('of a message that the device has in part there is no rest: reset', () => {
    const scene = served('CONNECT id=dev', { maxPacketBytes: 64 });
    const link = [...scene.links.keys()][0] ?? -1;
    const half = Buffer.concat([Buffer.of(0x30, 100, 0, 1, 0x74), Buffer.alloc(70)]);
    scene.connection.linkData(link, half, 0, half.length);
    goOn(
      scene,
      `
      a: reset
        device gets 75 bytes
        a lost: reset
        end a: reset
        end device: reset
      wire: closed
        ended: node-reset`,
    );
  });

  test('a message too large to be kept that its node has not answered cannot be sent again: the device is told', () => {
    const scene = served('CONNECT id=dev', { ...v5, maxPacketBytes: 64 });
    const packet = Buffer.concat([Buffer.of(0x32, 100, 0, 1, 0x74, 0, 1, 0), Buffer.alloc(94)]);
    scene.deviceSays(packet.subarray(0, 80));
    scene.deviceSays(packet.subarray(80));
    scene.did();
    goOn(
      scene,
      `
      -- A message was too large to be kept, and a dies with it: the device sends it again when it is back.
      owner: move drain
        answer later
      a: reset
        a lost: reset
        end a: reset
        device gets DISCONNECT code=139
        end device: flush
      wire: closed
        ended: immovable`,
    );
  });

  test('enhanced authentication cannot be replayed: DISCONNECT server shutting down [MQTT-4.12.1-1] (rule 17)', () => {
    goOn(
      served('CONNECT id=dev authenticationMethod:SCRAM', v5),
      `
      a: reset
        a lost: reset
        end a: reset
        device gets DISCONNECT code=139
        end device: flush
      wire: closed
        ended: immovable`,
    );
  });
});

describe('a device that the next node does not want for who it is: it is told at once', () => {
  test.each([
    [4, 4, '--'],
    [4, 5, '--'],
    [5, 134, 'device gets DISCONNECT code=135'],
    [5, 135, 'device gets DISCONNECT code=135'],
    [5, 138, 'device gets DISCONNECT code=135'],
  ] as const)('version %i, CONNACK %i', (version, code, told) => {
    goOn(
      lostAndAsked('CONNECT id=dev', { version }),
      `
      b: CONNACK code=${code}
        moved (link-lost) from a to nowhere after ${PACE_MS}
        ${told}
        end b: reset
        end device: flush
      wire: closed
        ended: connect-rejected`,
    );
  });

  test('not on a planned move, where its old node still has it', () => {
    goOn(
      drainedAndAsked(),
      `
      b: CONNACK code=5
        end b: reset
      time: ${PACE_MS}
        dial c`,
    );
  });
});

describe('no node takes it (rule 20)', () => {
  const lost = `
    a: reset
      a lost: reset
      end a: reset
      --`;

  function alone(options: SessionSceneOptions = {}): SessionScene {
    const scene = served('CONNECT id=dev', options);
    scene.nodes = [];
    return goOn(scene, lost);
  }

  test.each([
    [4, '--'],
    [5, 'device gets DISCONNECT code=137'],
  ] as const)('it is tried again and again until the deadline, and then told (version %i)', (version, told) => {
    goOn(
      alone({ version }),
      `
      time: ${moves.reattachDeadlineMs - 2_000}
      time: 2000
        moved (link-lost) from a to nowhere after 19312.5
        ${told}
        end device: flush
      wire: closed
        ended: no-node`,
    );
  });

  test('the waits between grow, with jitter, up to a bound', () => {
    const scene = alone();
    const waits: number[] = [];
    for (let i = 0; i < 6; i++) {
      const wait = (scene.timerAtMs ?? 0) - scene.nowMs;
      waits.push(wait);
      scene.pass(wait);
    }
    expect(waits).toEqual([187.5, 375, 750, 1500, 1500, 1500]);
  });

  test('a node that comes back meanwhile takes it', () => {
    const scene = alone();
    scene.pass(5_000);
    scene.nodes = ['c'];
    goOn(
      scene,
      `
      time: 1500
        dial c
      c: opens
        c gets CONNECT id=dev
      c: CONNACK present
        moved (link-lost) from a to c present after 6500`,
    );
  });
});

// Half of 3,000 ms of patience to three quarters of it (`connackTimeoutMs`, RANDOM): then the next node is waited for.
describe('a session that waits until it may be asked for', () => {
  const waiting = () => {
    const scene = served('CONNECT id=dev', { isFull: true });
    return goOn(
      scene,
      `
      a: reset
        a lost: reset
        end a: reset
      time: ${PACE_MS}
        waits for b`,
    );
  };

  test('is asked for when there is room, and a long wait is not held against it', () => {
    goOn(
      waiting(),
      `
      -- b has no room for two seconds, then it is dialled; it may take its time like any node.
      time: 2000
      owner: room
        dial b
      time: 2999
      b: opens
        b gets CONNECT id=dev
      b: CONNACK
        turn at b over: answered
        moved (link-lost) from a to b rebuilt after 5039`,
    );
  });

  test('waits at the next node when this one has no room for long, and is asked for at the last one all the same', () => {
    goOn(
      waiting(),
      `
      -- b has no room for too long, so c is waited for, and at the end asked without a turn; it does not answer.
      time: 3750
        turn at b over: left
        waits for c
      time: 3750
      time: 14999
      time: 1
        turn at c over: left
        dial c
      time: 3000
        end c: reset
        c failed: timeout
      time: ${PACE_MS}
        waits for a`,
    );
  });

  test('waits at the next node when this one has gone, but not at the one that it has lost', () => {
    goOn(
      waiting(),
      `
      -- b goes while the session waits there, then c: it never waits at the node that it has lost.
      owner: elsewhere
        turn at b over: left
        waits for c
      owner: elsewhere
      owner: room
        dial c
      c: refuses
        turn at c over: gone
        c failed: refused
      time: ${PACE_MS}
        waits for a`,
    );
  });

  test.each([
    ['b: reset', 'busy', ['end b: reset', 'b failed: closed-before-connack']],
    ['b: CONNACK code=3', 'busy', ['end b: reset', 'b failed: busy']],
    ['b: CONNACK code=2', 'left', ['end b: reset']],
  ])('%s: those behind it are told that the node is %s', (answer, end, lines) => {
    goOn(
      waiting(),
      `
      owner: room
        dial b
      b: opens
        b gets CONNECT id=dev
      ${answer}
        ${[lines[0], `turn at b over: ${end}`, ...lines.slice(1)].join('\n        ')}
      time: ${PACE_MS}
        waits for c`,
    );
  });

  test('leaves when its device goes', () => {
    goOn(
      waiting(),
      `
      device: reset
        turn at b over: left
        end device: reset`,
    );
  });
});

describe('a node asks to go elsewhere', () => {
  test.each([
    [139, 'shutting down'],
    [156, 'use another server'],
    [157, 'server moved'],
  ])('DISCONNECT %i (%s): the device sees nothing', (code) => {
    goOn(
      served('CONNECT id=dev sessionExpiryInterval:60', v5),
      `
      -- The broker says by DISCONNECT that we should go: b is asked, and the device hears nothing of it.
      a: DISCONNECT code=${code}
        a gets DISCONNECT
        end a: flush
      time: ${PACE_MS}
        dial b
      b: opens
        b gets CONNECT id=dev sessionExpiryInterval:60
      b: CONNACK present
        moved (node-leaving) from a to b present after ${PACE_MS}`,
    );
  });

  test('a Server Reference that names a node of the pool is followed (4.13)', () => {
    goOn(
      served('CONNECT id=dev', v5),
      `
      a: DISCONNECT code=156 serverReference:c.example
        a gets DISCONNECT
        end a: flush
      time: ${PACE_MS}
        dial c`,
    );
  });

  test.each([
    156, 157,
  ])('%i, and the pool has no other: the device is told, with all that the node has said', (code) => {
    goOn(
      served('CONNECT id=dev', { ...v5, nodes: ['a'] }),
      `
      a: DISCONNECT code=${code} serverReference:c.example reasonString:full
        device gets DISCONNECT code=${code} serverReference:c.example reasonString:full
        end a: reset
        end device: flush
      wire: closed
        ended: node-closed`,
    );
  });

  test('a node that does so before it has the session is just another that does not take it', () => {
    goOn(
      served('CONNECT id=dev', v5),
      `
      -- b grants nothing yet and says that it shuts down: c is asked, and nothing was promised to the device.
      device: SUBSCRIBE #1 t:1
        a gets SUBSCRIBE #1 t:1
      a: SUBACK #1 1
        device gets SUBACK #1 1
      a: reset
        a lost: reset
        end a: reset
      time: ${PACE_MS}
        dial b
      b: opens
        b gets CONNECT id=dev
      b: CONNACK
        b gets SUBSCRIBE #1 t:1+rh2
      b: DISCONNECT code=139
        end b: reset
        b failed: busy
      time: ${PACE_MS}
        dial c`,
    );
  });

  test('0x8E: the session is somebody else’s now (rule 14) [MQTT-3.1.4-3]', () => {
    goOn(
      served('CONNECT id=dev', v5),
      `
      a: DISCONNECT code=142 reasonString:newer
        device gets DISCONNECT code=142 reasonString:newer
        end a: reset
        end device: flush
      wire: closed
        ended: taken-over`,
    );
  });

  test('any other reason is meant for the device', () => {
    goOn(
      served('CONNECT id=dev', v5),
      `
      a: DISCONNECT code=151
        device gets DISCONNECT code=151
        end a: reset
        end device: flush
      wire: closed
        ended: node-closed`,
    );
  });
});

describe('a node that hangs', () => {
  const proofMs = 0.4 * moves.silenceTimeoutMs;

  test('is asked, and another node is when it does not answer', () => {
    goOn(
      served('CONNECT id=dev will=gone'),
      `
      owner: check
        a gets PINGREQ
      time: ${proofMs - 1}
      owner: check
      time: 1
        a failed: silent
      time: ${PACE_MS}
        dial b`,
    );
  });

  test.each(['PINGRESP', 'PUBLISH t=x'])('but not when it says anything: %s', (sign) => {
    goOn(
      served(),
      `
      owner: check
        a gets PINGREQ
      a: ${sign}
        ${sign === 'PINGRESP' ? '--' : 'device gets PUBLISH t=x'}
      time: 50000`,
    );
  });

  test('nor while its link is not read, because the device does not read', () => {
    const scene = served();
    scene.isDeviceBehind = true;
    goOn(
      scene,
      `
      owner: check
        a gets PINGREQ
      time: 50000`,
    );
    scene.isDeviceBehind = false;
    goOn(
      scene,
      `
      owner: check
      time: ${proofMs}
        a failed: silent`,
    );
  });

  test('nor when it has answered, and the device has just asked again', () => {
    goOn(
      served(),
      `
      owner: check
        a gets PINGREQ
      a: PINGRESP
      time: ${proofMs - 1}
      device: PINGREQ
        a gets PINGREQ
      time: 1`,
    );
  });
});

describe('nodes that accept a session, and end it at once', () => {
  /** Plays that until the device is told, and how long each node waited to be asked, in ms. */
  function goInCircles(
    scene: SessionScene,
    ends: string,
  ): { readonly waits: number[]; readonly last: string[] } {
    const waits: number[] = [];
    scene.nodes = ['a'];
    for (let i = 0; i < 50; i++) {
      const fromMs = scene.nowMs;
      scene.say('a', ends);
      const said = scene.did();
      if (scene.deviceDone !== undefined) return { waits, last: said };
      while (!scene.did().includes('dial a')) scene.pass(1);
      waits.push(scene.nowMs - fromMs - PACE_MS);
      scene.nodesClose();
      scene.say('a', 'opens');
      scene.say('a', 'CONNACK present');
      scene.did();
    }
    throw new Error('for ever');
  }

  const growing = [0, 0, 188, 375, 750, 1_500, 3_000, 3_750, 3_750];

  test('are asked at once at first, then more and more slowly; then the device hears their word (0x8B)', () => {
    const { waits, last } = goInCircles(served('CONNECT id=dev will=gone', v5), 'DISCONNECT code=139');
    expect(waits).toEqual(growing);
    expect(last).toEqual(['device gets DISCONNECT code=139', 'end a: reset', 'end device: flush']);
  });

  test.each([
    ['reset', 'reset'],
    ['fin', 'flush'],
  ])('likewise where they are found to be gone each time: %s', (cause, how) => {
    const scene = served('CONNECT id=dev', { lostLink: 'move' });
    const { waits, last } = goInCircles(scene, cause);
    expect(waits).toEqual(growing);
    expect(last).toEqual([`a lost: ${cause}`, 'end a: reset', `end device: ${how}`]);
  });

  test('what the device says while the next one is not asked yet is kept, and its PINGREQ answered', () => {
    const scene = served('CONNECT id=dev', { lostLink: 'move' });
    scene.nodes = ['a'];
    for (let i = 0; i < 2; i++) {
      scene.say('a', 'reset');
      scene.pass(PACE_MS);
      scene.say('a', 'opens');
      scene.say('a', 'CONNACK present');
    }
    scene.did();
    goOn(
      scene,
      `
      a: reset
        a lost: reset
        end a: reset
      device: PUBLISH t=x | PINGREQ
        device gets PINGRESP
      time: 187
      owner: move drain
        answer later
      time: 41
        dial a
      a: opens
        a gets CONNECT id=dev
      a: CONNACK present
        a gets PUBLISH t=x
        moved (link-lost) from a to a present after 228`,
    );
  });
});

describe('keep-alive (rule 16)', () => {
  test('how long a device may be silent is for its node to say, which is told nothing in its name [MQTT-3.1.2-22]', () => {
    goOn(
      served('CONNECT id=dev keepalive=60', v5),
      `
      -- The device pings once, then says nothing. Its node gives it up after ten minutes, and says so.
      time: 20000
      device: PINGREQ
        a gets PINGREQ
      a: PINGRESP
        device gets PINGRESP
      time: 600000
      a: DISCONNECT code=141
        device gets DISCONNECT code=141
        end a: reset
        end device: flush
      wire: closed
        ended: node-closed`,
    );
  });

  test('an end for silence is no sign against the node, and moves nobody; only a proof that it is gone does', () => {
    const silent = (): SessionScene => {
      const scene = served('CONNECT id=dev keepalive=60', { evidence: 'ask' });
      scene.pass(90_000);
      return scene;
    };
    goOn(
      silent(),
      `
      a: fin
        is a gone?
      owner: verdict together
        finish device`,
    );
    goOn(
      silent(),
      `
      a: reset
        end a: reset
        is a gone?
      owner: verdict leaving
        end device: reset`,
    );
    goOn(
      silent(),
      `
      a: reset
        end a: reset
        is a gone?
      owner: verdict refused
      time: ${PACE_MS}
        dial b`,
    );
  });

  test.each(['move', 'pass'] as const)('nor does lostLink: %s', (lostLink) => {
    const scene = served('CONNECT id=dev keepalive=60', { lostLink });
    scene.pass(90_000);
    goOn(
      scene,
      `
      a: reset
        end a: reset
        end device: reset`,
    );
  });

  test('a device that has just been heard is no explanation', () => {
    const scene = served('CONNECT id=dev keepalive=60', { evidence: 'ask' });
    scene.pass(80_000);
    goOn(
      scene,
      `
      device: PUBLISH t=x
        a gets PUBLISH t=x
      time: 30000
      a: reset
        a lost: reset
        end a: reset
        is a gone?
      owner: verdict together
      time: ${PACE_MS}
        dial b`,
    );
  });

  test('while a node is suspected it is asked in the name of a device that keeps its keep-alive, and of no other', () => {
    const scene = served('CONNECT id=dev keepalive=60');
    goOn(
      scene,
      `
      time: 59000
      owner: check
        a gets PINGREQ
      a: PINGRESP
      time: 31000
      owner: check`,
    );
    expect(scene.forwarder?.mayAsk(scene.nowMs)).toBe(false);
  });

  test('a node with a shorter keep-alive than the device was told is asked for it, until its own is over [MQTT-3.2.2-21]', () => {
    const scene = lostAndAsked('CONNECT id=dev keepalive=60', v5);
    scene.say('b', 'CONNACK present serverKeepAlive:20');
    scene.say('b', 'PINGRESP');
    scene.did();
    const askedAtS: number[] = [];
    for (let second = 1; second <= 300; second++) {
      scene.pass(1_000);
      if (!scene.did().includes('b gets PINGREQ')) continue;
      askedAtS.push(second);
      scene.say('b', 'PINGRESP');
    }
    expect(askedAtS).toEqual([20, 30, 40, 50, 60]);
  });

  test('a node is asked while a message comes so slowly that it hears nothing', () => {
    const scene = served('CONNECT id=dev keepalive=4');
    scene.did();
    scene.deviceSays(Buffer.of(0x32, 100, 0, 1, 0x74, 0, 1));
    let quietMs = 0;
    for (let i = 0; i < 28; i++) {
      scene.deviceSays(Buffer.of(i));
      scene.pass(500);
      const isAsked = scene.did().includes('a gets PINGREQ');
      if (isAsked) scene.say('a', 'PINGRESP');
      quietMs = isAsked ? 0 : quietMs + 500;
      expect(quietMs).toBeLessThan(4_000);
    }
    expect([scene.did(), scene.deviceDone]).toEqual([[], undefined]);
  });

  test('a node whose link is half open is found by its own PINGREQ', () => {
    goOn(
      served('CONNECT id=dev keepalive=60'),
      `
      time: 20000
      device: PINGREQ
        a gets PINGREQ
      time: 39999
      time: 1
        a failed: silent
        device gets PINGRESP
      time: ${PACE_MS}
        dial b`,
    );
  });

  test('checks in between do not put the look off for ever', () => {
    const scene = served('CONNECT id=dev keepalive=60');
    for (let i = 0; i < 200; i++) {
      scene.forwarder?.check();
      if (scene.did().includes('a gets PINGREQ')) scene.say('a', 'PINGRESP');
      scene.pass(1_000);
    }
    expect(scene.forwarder?.isOverdue).toBe(true);
  });

  test('without any keep-alive the node is asked once a minute, and the device left in peace', () => {
    goOn(
      served(),
      `
      time: 120000
        a gets PINGREQ
      a: PINGRESP
      time: 60000
        a gets PINGREQ
      time: 60000
        a failed: silent`,
    );
  });
});
