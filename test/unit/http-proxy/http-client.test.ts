import { expect, test } from 'vitest';
import { HttpClient } from '../../../src/http-proxy/http-client.ts';
import { fakeTime } from '../../support/fake-time.ts';

function scene() {
  const time = fakeTime();
  const socket = {
    bytesRead: 0,
    isClosed: false,
    destroySoon(): void {
      socket.isClosed = true;
      client.left();
    },
  };
  const client = new HttpClient(socket, time.timers, '192.0.2.1');
  return { ...time, socket, client };
}

test('an idle client that is asked to leave is closed when it has not sent anything for a second', async () => {
  const { client, socket, pass, pending } = scene();
  await pass(10_000);
  client.end();
  expect(client.isAtLast).toBe(true);
  await pass(999);
  expect(socket.isClosed).toBe(false);
  await pass(1);
  expect([socket.isClosed, pending()]).toEqual([true, 0]);
});

test('one that is served gets its answer, which is its last one, and is closed if it stays behind that', async () => {
  const { client, socket, pass } = scene();
  client.began();
  client.end();
  await pass(60_000);
  expect([client.isAtLast, socket.isClosed]).toEqual([true, false]);
  client.answered();
  await pass(1_000);
  expect(socket.isClosed).toBe(true);
});

test('requests that were sent at once are all answered', () => {
  const { client } = scene();
  client.began();
  client.began();
  client.end();
  expect(client.isAtLast).toBe(false);
  client.answered();
  expect(client.isAtLast).toBe(true);
});

test('a request that comes in part, or in that second, is answered', async () => {
  const { client, socket, pass } = scene();
  client.end();
  socket.bytesRead = 17;
  await pass(60_000);
  expect(socket.isClosed).toBe(false);
  client.began();
  expect(client.isAtLast).toBe(true);
  client.answered();
  client.began();
  await pass(60_000);
  expect(socket.isClosed).toBe(false);
  client.answered();
  await pass(1_000);
  expect(socket.isClosed).toBe(true);
});

test('a tunnel ends in its turn, and one that begins when its client was asked already a second later', async () => {
  const { client, socket } = scene();
  client.joined();
  client.end();
  expect(socket.isClosed).toBe(true);
  const late = scene();
  late.client.end();
  late.socket.bytesRead = 300;
  late.client.joined();
  await late.pass(999);
  expect(late.socket.isClosed).toBe(false);
  await late.pass(1);
  expect(late.socket.isClosed).toBe(true);
});
