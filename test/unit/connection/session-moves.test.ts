import { describe, expect, test } from 'vitest';
import { moves } from './scene.ts';
import { drainedAndAsked, goOn, PACE_MS, type SessionScene, served } from './session-scene.ts';

// Planned moves: the old node lives, and the session leaves it for another.

const v5 = { version: 5 } as const;

test('the old node serves until the new link is open and it has answered; then its late bytes reach nobody (rule 14)', () => {
  goOn(
    served(),
    `
    -- A drain. Until b's link is open all goes to a, and what a says behind its last answer is not listened to.
    owner: move drain
      dial b
      answer moving
    device: PUBLISH t=1
      a gets PUBLISH t=1
    a: PUBLISH u=2
      device gets PUBLISH u=2
    b: opens
      a gets PINGREQ
    a: PINGRESP
      b gets CONNECT id=dev
    a: PUBLISH u=late
    device: PUBLISH t=3
    b: CONNACK present
      b gets PUBLISH t=3
      a gets DISCONNECT
      end a: flush
      moved (drain) from a to b present after 0
  `,
  );
});

test.each([
  ['the old node has ended its link', 'a', 'fin'],
  ['the device has gone', 'device', 'reset'],
])('a node that is drained is not empty before another has the session: until %s', (_what, who, last) => {
  const scene = served();
  scene.say('owner', 'move drain');
  scene.say('b', 'opens');
  scene.say('a', 'PINGRESP');
  expect([...scene.counted]).toEqual([
    ['a', 1],
    ['b', 1],
  ]);
  scene.say(who, last);
  expect(scene.counted.get('a')).toBe(0);
});

describe('a node that reads late is not empty before it has read the goodbye, and closes', () => {
  test.each([
    ['as the new node has the session', ['b: CONNACK present']],
    [
      'and moves once more',
      ['b: CONNACK present', 'owner: move drain to=c', 'c: opens', 'b: PINGRESP', 'c: CONNACK'],
    ],
    ['and its device leaves', ['b: CONNACK present', 'device: reset']],
  ])('a session says it %s', (_when, lines) => {
    const scene = served('CONNECT id=dev will=gone');
    for (const line of ['owner: move drain', 'b: opens', 'a: PINGRESP', ...lines]) {
      const [who = '', what = ''] = line.split(': ');
      scene.say(who, what);
    }
    expect(scene.did()).toContain('a gets DISCONNECT');
    expect(scene.counted.get('a')).toBe(1);
    scene.say('a', 'closes');
    expect(scene.counted.get('a')).toBe(0);
  });

  test('of the node itself that leaves [MQTT 5.0 clause 4.13]', () => {
    const scene = served('CONNECT id=dev', v5);
    scene.say('a', 'DISCONNECT code=139');
    expect(scene.counted.get('a')).toBe(1);
    scene.say('a', 'closes');
    expect(scene.counted.get('a')).toBe(0);
  });

  test.each(['immovable', 'shutdown'])('a device that is ended (%s) says it', (reason) => {
    const scene = served();
    scene.say('owner', `end ${reason}`);
    expect(scene.did()).toContain('a gets DISCONNECT');
    expect(scene.counted.get('a')).toBe(1);
    scene.say('a', 'closes');
    expect(scene.counted.get('a')).toBe(0);
  });
});

test('a session that the new node does not have is ended at the old one, if it would outlive its link', () => {
  goOn(
    served('CONNECT id=dev sessionExpiryInterval:60', v5),
    `
    -- b does not have the session, so a would keep a copy for a minute: a is told to end it.
    owner: move move
      dial b
      answer moving
    b: opens
      a gets PINGREQ
    a: PINGRESP
      b gets CONNECT id=dev sessionExpiryInterval:60
    b: CONNACK
      a gets DISCONNECT sessionExpiryInterval:0
      end a: flush
      moved (move) from a to b rebuilt after 0`,
  );
});

test.each([
  'reset',
  'fin',
])('the old node may end its link by itself when the session is taken over: %s', (cause) => {
  goOn(
    served(),
    `
    -- The cluster takes the session for b, and a closes its link: that is no loss.
    owner: move rebalance
      dial b
      answer moving
    b: opens
      a gets PINGREQ
    a: PINGRESP
      b gets CONNECT id=dev
    a: ${cause}
      end a: reset
    b: CONNACK present
      moved (rebalance) from a to b present after 0`,
  );
});

test('of our own takeover the device sees nothing (rule 14) [MQTT-3.1.4-3]', () => {
  goOn(
    drainedAndAsked('CONNECT id=dev', v5),
    `
    a: DISCONNECT code=142
    b: CONNACK present
      a gets DISCONNECT
      end a: flush
      moved (drain) from a to b present after 0`,
  );
});

describe('the old node goes on serving', () => {
  test('when the dials of all others fail', () => {
    goOn(
      served(),
      `
      -- b is down, c does not answer: the drain has failed for this session, and a goes on serving it.
      owner: move drain
        dial b
        answer moving
      b: refuses
        b failed: refused
        dial c
      time: 3000
        end c: reset
        c failed: timeout
        moved (drain) from a to nowhere after 3000
      device: PUBLISH t=x
        a gets PUBLISH t=x
      a: PUBLISH u=y
        device gets PUBLISH u=y
      time: 117000
        a gets PINGREQ`,
    );
  });

  test('until a message that is too large to keep, and on its way to the device as the new link opens, is through', () => {
    const scene = served('CONNECT id=dev', { maxPacketBytes: 64 });
    const [link = -1] = scene.links.keys();
    scene.say('owner', 'move drain');
    scene.did();
    const start = Buffer.concat([Buffer.of(0x30, 100, 0, 1, 0x74), Buffer.alloc(70)]);
    scene.connection.linkData(link, start, 0, start.length);
    goOn(
      scene,
      `
      b: opens
        device gets 75 bytes
        a gets PINGREQ`,
    );
    scene.connection.linkData(link, Buffer.alloc(27), 0, 27);
    goOn(
      scene,
      `
      a: PINGRESP
        device gets 27 bytes
        b gets CONNECT id=dev`,
    );
  });

  test('until the device is through with a message that it has begun as the new link opens', () => {
    const scene = served();
    scene.say('owner', 'move drain');
    scene.did();
    scene.deviceSays(Buffer.of(0x30, 100, 0, 1, 0x74));
    scene.say('b', 'opens');
    scene.deviceSays(Buffer.alloc(97));
    expect(scene.did()).toEqual(['a gets 5 bytes', 'a gets 99 bytes']);
    goOn(
      scene,
      `
      a: PINGRESP
        b gets CONNECT id=dev`,
    );
  });

  test('when the device is still in the middle of a message when the old node has had its time', () => {
    const scene = served();
    scene.say('owner', 'move drain');
    scene.did();
    scene.deviceSays(Buffer.of(0x30, 100, 0, 1, 0x74));
    goOn(
      scene,
      `
      b: opens
        a gets 5 bytes
      time: ${moves.silenceTimeoutMs}
        end b: reset
        moved (drain) from a to nowhere after ${moves.silenceTimeoutMs}`,
    );
    scene.deviceSays(Buffer.alloc(97));
    expect(scene.did()).toEqual(['a gets 99 bytes']); // with the PINGREQ that waited behind them
  });

  test('but is lost as ever when its link ends while the other is dialled', () => {
    goOn(
      served(),
      `
      -- a dies while b is dialled for a drain: from then on it is a lost node.
      owner: move drain
        dial b
        answer moving
      a: reset
        a lost: reset
        end b: reset
        end a: reset
      time: ${PACE_MS}
        dial b`,
    );
  });
});

test('a new node that does not take it, once the old one is not listened to: the next; the old one last', () => {
  const scene = served();
  scene.nodes = ['a', 'b'];
  goOn(
    scene,
    `
    -- a is left, b is busy: the next node is a itself, which takes the session back.
    owner: move drain
      dial b
      answer moving
    b: opens
      a gets PINGREQ
    a: PINGRESP
      b gets CONNECT id=dev
    b: CONNACK code=3
      end b: reset
      b failed: busy
    time: ${PACE_MS}
      dial a
    a: opens
      a gets CONNECT id=dev
    old a: fin
      end a: reset
    a: CONNACK present
      moved (drain) from a to a present after ${PACE_MS}`,
  );
});

describe('a device with a Will, where a takeover would fire it (rule 13) [MQTT-3.14.4-3]', () => {
  const willed = (): SessionScene => served('CONNECT id=dev will=gone', { takeoverFiresWill: true });

  test('the old node is left with goodbye before the new one is asked', () => {
    goOn(
      willed(),
      `
      -- A takeover would fire the Will, so a has read a goodbye, and what was sent before, when b is asked.
      owner: move drain
        a gets PINGREQ
        answer moving
      device: PUBLISH t=x
      a: PINGRESP
        a gets DISCONNECT
      a: fin
        end a: reset
        dial b
      b: opens
        b gets CONNECT id=dev will=gone
      b: CONNACK
        b gets PUBLISH t=x
        moved (drain) from a to b rebuilt after 0`,
    );
  });

  test('so it is with any session where `leaveFirst` says so: a clean one has ended then, and begins anew', () => {
    goOn(
      served('CONNECT id=dev clean', { leavesFirst: true }),
      `
      -- At a RabbitMQ cluster a takeover leaves a session's queues where they are. So a is left before b is asked.
      owner: move drain
        a gets PINGREQ
        answer moving
      a: PINGRESP
        a gets DISCONNECT
      a: fin
        end a: reset
        dial b
      b: opens
        b gets CONNECT id=dev clean
      b: CONNACK
        moved (drain) from a to b rebuilt after 0`,
    );
  });

  test('a node that does not close its link is waited for no longer than one that hangs', () => {
    const scene = willed();
    goOn(
      scene,
      `
      owner: move drain
        a gets PINGREQ
        answer moving
      a: PINGRESP
        a gets DISCONNECT
      time: ${moves.silenceTimeoutMs - 1}
      device: PUBLISH t=x
      time: 1
        end a: flush
        dial b
      b: opens
        b gets CONNECT id=dev will=gone
      b: CONNACK
        b gets PUBLISH t=x
        moved (drain) from a to b rebuilt after ${moves.silenceTimeoutMs}`,
    );
    expect([...scene.counted]).toEqual([
      ['a', 0],
      ['b', 1],
    ]);
  });

  test.each([
    ['owner: end shutdown', 'flush'],
    ['device: reset', 'reset'],
  ])('the connection ends meanwhile, and a is told nothing behind its goodbye: %s', (end, how) => {
    const scene = willed();
    goOn(
      scene,
      `
      owner: move drain
        a gets PINGREQ
        answer moving
      a: PINGRESP
        a gets DISCONNECT
      ${end}
        end a: ${how}
        end device: ${how}`,
    );
    scene.closes();
    expect([...scene.counted]).toEqual([
      ['a', 0],
      ['b', 0],
    ]);
  });

  test('but not where there is nowhere to go', () => {
    const scene = willed();
    scene.nodes = ['a'];
    goOn(
      scene,
      `
      owner: move drain
        answer no-node`,
    );
  });

  test('a Will Delay Interval does not need it, while the session outlives the link [MQTT-3.1.3-9]', () => {
    goOn(
      served('CONNECT id=dev will=gone willDelayInterval:5 sessionExpiryInterval:60', {
        version: 5,
        takeoverFiresWill: true,
      }),
      `
      owner: move drain
        dial b
        answer moving`,
    );
  });
});

describe('an order to move is answered', () => {
  function answer(scene: SessionScene, order: string): string | undefined {
    scene.say('owner', `move ${order}`);
    return scene.did().at(-1);
  }

  test('no-node where there is no other, and nothing is dialled or recorded', () => {
    const scene = served();
    scene.nodes = ['a'];
    scene.say('owner', 'move drain');
    expect(scene.did()).toEqual(['answer no-node']);
    expect(scene.counted.get('a')).toBe(1);
  });

  test('no-node where the named one is not to be had, or serves already', () => {
    expect(answer(served(), 'move to=x')).toBe('answer no-node');
    expect(answer(served(), 'move to=a')).toBe('answer no-node');
  });

  test('moving to the node that was named, and no other is tried', () => {
    goOn(
      served(),
      `
      owner: move move to=c
        dial c
        answer moving
      c: refuses
        c failed: refused
        moved (move) from a to nowhere after 0`,
    );
  });

  test('later while it moves already', () => {
    const scene = served();
    scene.say('owner', 'move drain');
    expect(answer(scene, 'drain')).toBe('answer later');
  });

  test('later while no node serves', () => {
    const scene = served();
    scene.say('a', 'reset');
    expect(answer(scene, 'drain')).toBe('answer later');
  });

  test('later while the device is in the middle of a message', () => {
    const scene = served();
    scene.deviceSays(Buffer.of(0x30, 100, 0, 1, 0x74));
    expect(answer(scene, 'drain')).toBe('answer later');
  });

  test('enhanced-auth, which cannot be moved (rule 17)', () => {
    expect(answer(served('CONNECT id=dev authenticationMethod:X', v5), 'drain')).toBe('answer enhanced-auth');
  });

  test('too-much-state, where its subscriptions are more than may be kept', () => {
    const scene = served();
    const filters = Array.from({ length: 40 }, (_, i) => `${'x'.repeat(30)}${i}:0`);
    for (let i = 0; i < 40; i += 4) {
      scene.say('device', `SUBSCRIBE #${i + 1} ${filters.slice(i, i + 4).join(' ')}`);
      scene.say('a', `SUBACK #${i + 1} 0 0 0 0`);
    }
    expect(answer(scene, 'drain')).toBe('answer too-much-state');
  });

  test('over when the device has gone', () => {
    const scene = served();
    scene.say('device', 'reset');
    expect(answer(scene, 'drain')).toBe('answer over');
  });
});

test('the last ten moves are remembered', () => {
  const scene = served();
  for (let i = 0; i < 12; i++) {
    scene.say('owner', 'move rebalance');
    const [old = '', next = ''] = [...scene.links.values()].map(({ node }) => node);
    scene.say(next, 'opens');
    scene.say(old, 'PINGRESP');
    scene.say(next, 'CONNACK present');
    scene.pass(1);
  }
  expect(scene.forwarder?.history).toHaveLength(10);
  expect(scene.forwarder?.history.at(-1)).toMatchObject({ cause: 'rebalance', to: 'a' });
});
