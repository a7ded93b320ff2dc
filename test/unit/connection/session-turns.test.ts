import { expect, test } from 'vitest';
import { bytesOf } from '../session/packet-text.ts';
import { type SessionScene, served } from './session-scene.ts';

// No connection holds a thread for long: what is too much for one call goes on in later turns of the loop.

const PER_CALL = 4096;
const flood = (packet: string, count: number) =>
  Buffer.concat(Array.from({ length: count }, () => bytesOf(packet, 4)));

/** What happened, with the number of lines that are alike and follow each other. */
function did(scene: SessionScene): string[] {
  const runs: { line: string; times: number }[] = [];
  for (const line of scene.did()) {
    const last = runs.at(-1);
    if (last?.line === line) last.times++;
    else runs.push({ line, times: 1 });
  }
  return runs.map(({ line, times }) => (times === 1 ? line : `${times} x ${line}`));
}

function turn(scene: SessionScene): string[] {
  scene.turn();
  return did(scene);
}

test('a read full of small packets is taken in turns, during which the device is not read', () => {
  const scene = served('CONNECT id=dev');
  did(scene);
  scene.deviceSays(Buffer.concat([flood('PUBLISH t=x', 2 * PER_CALL), bytesOf('PUBLISH t=last', 4)]));
  expect(did(scene)).toEqual([`${PER_CALL} x a gets PUBLISH t=x`, 'hold device']);
  expect(turn(scene)).toEqual([`${PER_CALL} x a gets PUBLISH t=x`]);
  expect(turn(scene)).toEqual(['a gets PUBLISH t=last', 'read device']);
  expect(turn(scene)).toEqual([]);
});

test('a read full of small packets of a node is taken in turns, during which its link is not read', () => {
  const scene = served('CONNECT id=dev');
  did(scene);
  const bytes = flood('PUBLISH t=x', PER_CALL + 1);
  scene.connection.linkData(0, bytes, 0, bytes.length);
  expect(did(scene)).toEqual([`${PER_CALL} x device gets PUBLISH t=x`, 'hold a']);
  expect(turn(scene)).toEqual(['device gets PUBLISH t=x', 'read a']);
});

test('both sides go on in the same turn, and each keeps its order', () => {
  const scene = served('CONNECT id=dev');
  did(scene);
  scene.deviceSays(flood('PUBLISH t=up', PER_CALL + 2));
  const bytes = flood('PUBLISH t=down', PER_CALL + 3);
  scene.connection.linkData(0, bytes, 0, bytes.length);
  scene.deviceSays(bytesOf('PUBLISH t=up2', 4)); // an engine may have it already
  did(scene);
  expect(turn(scene).sort()).toEqual([
    '2 x a gets PUBLISH t=up',
    '3 x device gets PUBLISH t=down',
    'a gets PUBLISH t=up2',
    'read a',
    'read device',
  ]);
});

test('the end of the device comes behind what it sent', () => {
  const scene = served('CONNECT id=dev');
  did(scene);
  scene.deviceSays(flood('PUBLISH t=x', PER_CALL + 1));
  scene.say('device', 'fin');
  expect(did(scene)).toEqual([`${PER_CALL} x a gets PUBLISH t=x`, 'hold device']);
  expect(turn(scene)).toEqual(['a gets PUBLISH t=x', 'read device', 'finish a']);
});

test('DISCONNECT behind a flood is the last that the node hears', () => {
  const scene = served('CONNECT id=dev');
  did(scene);
  scene.deviceSays(Buffer.concat([flood('PINGREQ', PER_CALL), bytesOf('DISCONNECT', 4)]));
  scene.say('device', 'fin');
  did(scene);
  expect(turn(scene)).toEqual(['a gets DISCONNECT', 'finish a', 'read device']);
});

test('a link that ends is lost only when all that came on it is taken', () => {
  const scene = served('CONNECT id=dev');
  did(scene);
  const bytes = flood('PUBLISH t=x', PER_CALL + 1);
  scene.connection.linkData(0, bytes, 0, bytes.length);
  did(scene);
  scene.say('a', 'reset');
  expect(did(scene)).toEqual([]);
  expect(turn(scene).slice(0, 3)).toEqual(['device gets PUBLISH t=x', 'read a', 'a lost: reset']);
});

test('a session does not move while something of its node is still to be taken', () => {
  const scene = served('CONNECT id=dev');
  did(scene);
  const bytes = flood('PUBLISH t=x', PER_CALL + 1);
  scene.connection.linkData(0, bytes, 0, bytes.length);
  did(scene);
  scene.say('owner', 'move drain');
  expect(did(scene)).toEqual(['answer later']);
  turn(scene);
  scene.say('owner', 'move drain');
  expect(did(scene)).toEqual(['dial b', 'answer moving']);
});

test('what came while no node had the session goes to the next one in turns, before what comes then', () => {
  const scene = served('CONNECT id=dev');
  scene.say('a', 'reset');
  scene.deviceSays(flood('PUBLISH t=gap', 60));
  scene.pass(1000);
  scene.say('b', 'opens');
  did(scene);
  scene.say('b', 'CONNACK present');
  scene.deviceSays(bytesOf('PUBLISH t=then', 4));
  const gets = did(scene).filter((line) => line.includes('gets'));
  expect(gets).toEqual(['60 x b gets PUBLISH t=gap', 'b gets PUBLISH t=then']);
});

test('what another node has not acknowledged goes to the next in turns, in its order, before what comes then', () => {
  const scene = served('CONNECT id=dev');
  const sent = Array.from({ length: PER_CALL + 3 }, (_, i) => `PUBLISH #${i + 1} q1 t=${i}`);
  scene.deviceSays(Buffer.concat(sent.map((packet) => bytesOf(packet, 4))));
  scene.turn();
  scene.say('a', 'reset');
  scene.pass(1000);
  scene.say('b', 'opens');
  scene.did();
  scene.say('b', 'CONNACK present');
  const again = (from: number, to: number) =>
    sent.slice(from, to).map((packet) => `b gets ${packet.replace(' q1 ', ' q1 dup ')}`);
  const gets = () => scene.did().filter((line) => line.includes('gets'));
  expect(gets()).toEqual(again(0, PER_CALL));
  scene.deviceSays(Buffer.concat([bytesOf('PUBLISH t=then', 4), bytesOf('PINGREQ', 4)]));
  scene.say('b', `PUBACK #${PER_CALL + 1}`); // before it was sent: there is no need
  expect(gets()).toEqual(['device gets PINGRESP', `device gets PUBACK #${PER_CALL + 1}`]);
  scene.turn();
  expect(gets()).toEqual([...again(PER_CALL + 1, PER_CALL + 3), 'b gets PUBLISH t=then']);
});

test('a node that is lost in the middle of that leaves all of it to the next', () => {
  const scene = served('CONNECT id=dev');
  const sent = Array.from({ length: PER_CALL + 3 }, (_, i) => `PUBLISH #${i + 1} q1 t=${i}`);
  scene.deviceSays(Buffer.concat(sent.map((packet) => bytesOf(packet, 4))));
  scene.turn();
  scene.say('a', 'reset');
  scene.pass(1000);
  scene.say('b', 'opens');
  scene.say('b', 'CONNACK present');
  scene.pass(1500); // it did not die of what it was sent
  scene.say('b', 'reset');
  scene.pass(1000);
  scene.did();
  scene.say('a', 'opens');
  scene.did();
  scene.say('a', 'CONNACK present');
  scene.turn();
  const gets = scene.did().filter((line) => line.includes('gets'));
  expect(gets).toEqual(sent.map((packet) => `a gets ${packet.replace(' q1 ', ' q1 dup ')}`));
});

test('a device that is ahead of its pace waits with what was left, too', () => {
  const scene = served('CONNECT id=dev', { rates: { messageRate: PER_CALL, byteRate: 0 } });
  did(scene);
  scene.deviceSays(flood('PUBLISH t=x', 3 * PER_CALL));
  expect(did(scene)).toEqual([`${PER_CALL} x a gets PUBLISH t=x`, 'hold device']);
  expect(turn(scene)).toEqual([`${PER_CALL} x a gets PUBLISH t=x`]);
  expect(turn(scene)).toEqual([]);
  scene.pass(1000);
  expect(turn(scene)).toEqual([`${PER_CALL} x a gets PUBLISH t=x`, 'read device']);
});

test('what was left of a connection that has ended is forgotten', () => {
  const scene = served('CONNECT id=dev');
  scene.deviceSays(flood('PUBLISH t=x', PER_CALL + 1));
  scene.say('device', 'reset');
  did(scene);
  expect(turn(scene)).toEqual([]);
});
