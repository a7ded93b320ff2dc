import { describe, expect, test } from 'vitest';
import { retryPolicy } from './scene.ts';
import { play } from './session-scene.ts';

// How a device in session mode finds its first node.

test('served from CONNECT to CONNACK, what came behind CONNECT included', () => {
  play(`
    -- A device connects and speaks at once. What it says waits for CONNACK, and then passes both ways.
    device: CONNECT id=dev clean | PUBLISH t=1
      dial a
    device: PUBLISH t=2
    a: opens
      a gets CONNECT id=dev clean
    a: CONNACK
      a gets PUBLISH t=1
      a gets PUBLISH t=2
      device gets CONNACK
      placed at a
    device: PUBLISH t=3
      a gets PUBLISH t=3
    a: PUBLISH u=4
      device gets PUBLISH u=4`);
});

test('it waits for its turn at the node, and what it sends meanwhile with it', () => {
  const options = { queueMs: 500 };
  play(
    `
    -- The node takes new devices in turn. This one waits half a second, and nothing that it says is lost.
    device: CONNECT id=dev
    device: PUBLISH t=1
    time: 499
    time: 1
      dial a
    a: opens
      a gets CONNECT id=dev
    a: CONNACK
      a gets PUBLISH t=1
      device gets CONNACK
      placed at a`,
    options,
  );
});

describe('a node that does not take it costs the device nothing', () => {
  test('the dial fails', () => {
    play(`
      -- The first node refuses the connection, and the second one serves.
      device: CONNECT id=dev
        dial a
      a: refuses ECONNREFUSED
        a failed: refused
        dial b
      b: opens
        b gets CONNECT id=dev
      b: CONNACK
        device gets CONNACK
        placed at b`);
  });

  test('it is busy', () => {
    play(`
      device: CONNECT id=dev
        dial a
      a: opens
        a gets CONNECT id=dev
      a: CONNACK code=3
        end a: reset
        a failed: busy
        dial b`);
  });

  test.each(['fin', 'reset', 'timeout'])('its link ends before CONNACK: %s', (cause) => {
    play(`
      device: CONNECT id=dev
        dial a
      a: opens
        a gets CONNECT id=dev
      a: ${cause}
        end a: reset
        a failed: closed-before-connack
        dial b`);
  });

  test('no CONNACK comes in time, nor another sign of life', () => {
    play(`
      -- a takes the CONNECT and says nothing, b does not even open: c is dialled.
      device: CONNECT id=dev
        dial a
      a: opens
        a gets CONNECT id=dev
      time: ${retryPolicy.connackTimeoutMs / 2}
        a gets DISCONNECT
        end a: flush
        a failed: connack-timeout
        dial b
      time: ${retryPolicy.connectTimeoutMs}
        end b: reset
        b failed: timeout
        dial c`);
  });

  test('it answers with what is no CONNACK [MQTT-3.2.0-1]', () => {
    play(`
      device: CONNECT id=dev
        dial a
      a: opens
        a gets CONNECT id=dev
      a: PINGRESP
        end a: reset
        a failed: closed-before-connack
        dial b`);
  });
});

test('a refusal that speaks of the device is passed on, and no other node asked', () => {
  play(
    `
    -- The node does not want this device. That is its word, and no other node is asked.
    device: CONNECT id=dev
      dial a
    a: opens
      a gets CONNECT id=dev
    a: CONNACK code=135
      rejected: node-refused
      device gets CONNACK code=135
      end a: reset
      end device: flush
    wire: closed
      ended: connect-rejected`,
    { version: 5 },
  );
});

describe('a CONNECT that nodes do not stand', () => {
  test.each([
    ['fin', 'flush', 'node-closed'],
    ['reset', 'reset', 'node-reset'],
  ])('is given to one more, and then the device closed as the node did: %s', (cause, how, reason) => {
    play(`
      -- a closes the CONNECT without a word, b does the same: the device is closed as the last of them did it.
      device: CONNECT id=dev
        dial a
      a: opens
        a gets CONNECT id=dev
      a: fin
        end a: reset
        a failed: closed-before-connack
        dial b
      b: opens
        b gets CONNECT id=dev
      b: ${cause}
        end b: reset
        b failed: closed-before-connack
        rejected: node-closed
        end device: ${how}
      wire: closed
        ended: ${reason}`);
  });

  test('has nobody else to be given to', () => {
    play(
      `
      -- The only node closes it: the device is closed likewise.
      device: CONNECT id=dev
        dial a
      a: opens
        a gets CONNECT id=dev
      a: fin
        end a: reset
        a failed: closed-before-connack
        rejected: node-closed
        end device: flush`,
      { nodes: ['a'] },
    );
  });

  test('a node that is not there does not speak for those that are', () => {
    play(`
      -- a is down, b closes the CONNECT, c is down: the device hears what b did.
      device: CONNECT id=dev
        dial a
      a: refuses ECONNREFUSED
        a failed: refused
        dial b
      b: opens
        b gets CONNECT id=dev
      b: fin
        end b: reset
        b failed: closed-before-connack
        dial c
      c: refuses ECONNREFUSED
        c failed: refused
        rejected: node-closed
        end device: flush`);
  });
});

test.each([
  [4, 'CONNACK code=3'],
  [5, 'CONNACK code=136'],
  [5, 'CONNACK code=137'],
  [5, 'CONNACK code=156 serverReference:other.example'],
  [5, 'CONNACK code=157 serverReference:other.example'],
  [5, 'CONNACK code=159 reasonString:slow'],
] as const)('all nodes are busy: the device hears the last of them (version %i, %s)', (version, connack) => {
  play(
    `
    -- Both nodes are busy. The device gets the CONNACK of the last one, whole.
    device: CONNECT id=dev
      dial a
    a: opens
      a gets CONNECT id=dev
    a: CONNACK code=${version === 5 ? 137 : 3}
      end a: reset
      a failed: busy
      dial b
    b: opens
      b gets CONNECT id=dev
    b: ${connack}
      end b: reset
      b failed: busy
      rejected: node-refused
      device gets ${connack}
      end device: flush
    wire: closed
      ended: connect-rejected`,
    { version, nodes: ['a', 'b'] },
  );
});

test.each([
  [4, 3],
  [5, 136],
] as const)('no node at all: CONNACK server unavailable (version %i)', (version, code) => {
  play(
    `
    device: CONNECT id=dev
      rejected: no-node
      device gets CONNACK code=${code}
      end device: flush
    wire: closed
      ended: no-node`,
    { version, nodes: [] },
  );
});

describe('a device that goes before it is served', () => {
  test('is forgotten when it resets', () => {
    const scene = play(`
      -- The device vanishes while its node thinks: the link is reset, so that a Will fires.
      device: CONNECT id=dev
        dial a
      a: opens
        a gets CONNECT id=dev
      device: reset
        end a: reset
        end device: reset
      wire: closed
        ended: device-reset`);
    expect(scene.counted.get('a')).toBe(0);
  });

  test('is served to the end when it has said DISCONNECT: publish and away', () => {
    play(`
      -- Publish and away: all is said before a node is found, and all of it reaches the node, in order.
      device: CONNECT id=dev clean | PUBLISH q1 #1 t=x | DISCONNECT
        dial a
      device: fin
      a: opens
        a gets CONNECT id=dev clean
      a: CONNACK
        a gets PUBLISH #1 q1 t=x
        a gets DISCONNECT
        device gets CONNACK
        finish a
        placed at a
      a: PUBACK #1
        device gets PUBACK #1
      a: fin
        end a: flush
        end device: flush
      wire: closed
        ended: device-closed`);
  });

  test('is served to the end when it has only ended its side: its node hears it before its Will', () => {
    play(`
      -- It has a Will and ends its side early. Its node gets the message, and then the end.
      device: CONNECT id=dev clean will=gone | PUBLISH t=x
        dial a
      device: fin
      a: opens
        a gets CONNECT id=dev clean will=gone
      a: CONNACK
        a gets PUBLISH t=x
        device gets CONNACK
        finish a
        placed at a
      a: fin
        end a: flush
        end device: flush
      wire: closed
        ended: device-closed`);
  });

  test('is placed though it ended its side while it was looked for where it was', () => {
    play(
      `
      -- While the store is asked where it was, the device ends its side. It is served there all the same.
      device: CONNECT id=dev
      device: fin
      recalled: b
        dial b
      b: opens
        b gets CONNECT id=dev
      b: CONNACK
        device gets CONNACK
        finish b
        placed at b`,
      { recallTimeoutMs: 50 },
    );
  });
});

test('a device that breaks the standard behind its CONNECT gets its CONNACK, and is judged by the node', () => {
  play(`
    device: CONNECT id=dev | CONNECT id=dev
      dial a
    a: opens
      a gets CONNECT id=dev
    a: CONNACK
      a gets CONNECT id=dev
      device gets CONNACK
      placed at a`);
});

describe('enhanced authentication (4.12)', () => {
  const connect = 'CONNECT id=dev authenticationMethod:SCRAM';

  test('is passed on both ways', () => {
    play(
      `
      -- AUTH goes to and fro before CONNACK, as if nobody stood between.
      device: ${connect}
        dial a
      a: opens
        a gets ${connect}
      a: AUTH code=24 authenticationMethod:SCRAM
        device gets AUTH code=24 authenticationMethod:SCRAM
      device: AUTH code=24 authenticationMethod:SCRAM
        a gets AUTH code=24 authenticationMethod:SCRAM
      a: CONNACK
        device gets CONNACK
        placed at a`,
      { version: 5 },
    );
  });

  test('a node that is lost in the middle of it is not replaced: no other could go on', () => {
    play(
      `
      -- The node is lost after its first AUTH: no other node could go on with that exchange.
      device: ${connect}
        dial a
      a: opens
        a gets ${connect}
      a: AUTH code=24 authenticationMethod:SCRAM
        device gets AUTH code=24 authenticationMethod:SCRAM
      a: reset
        end a: reset
        a failed: closed-before-connack
        rejected: node-closed
        end device: reset`,
      { version: 5 },
    );
  });

  test('a node that is busy before it has begun is', () => {
    play(
      `
      device: ${connect}
        dial a
      a: opens
        a gets ${connect}
      a: CONNACK code=137
        end a: reset
        a failed: busy
        dial b`,
      { version: 5 },
    );
  });
});
