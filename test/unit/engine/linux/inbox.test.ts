import { expect, it } from 'vitest';
import { Inbox } from '../../../../src/engine/linux/inbox.ts';

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));

/** What one take gives. */
function take(inbox: Inbox, fd: number, most: number): string {
  const got = inbox.take(fd, most);
  return inbox.bytes.toString('latin1', inbox.start, inbox.start + got);
}

it('gives what it keeps for each socket, first to last, as much as is asked for', () => {
  const inbox = new Inbox();
  inbox.keep(3, [bytes('one'), bytes('two')]);
  inbox.keep(4, [bytes('of another')]);
  expect(take(inbox, 3, 4)).toBe('onet');
  inbox.keep(3, [bytes('three')]);
  expect(Buffer.from(inbox.copy(3)).toString()).toBe('wothree');
  expect(take(inbox, 3, 100)).toBe('wothree');
  expect([inbox.has(3), inbox.has(4)]).toEqual([false, true]);
});

it('copies, so that whoever gave the bytes may use their memory again', () => {
  const inbox = new Inbox();
  const given = bytes('kept');
  inbox.keep(3, [given]);
  given.fill(0);
  inbox.copy(3).fill(0);
  expect(take(inbox, 3, 4)).toBe('kept');
});

it('keeps nothing of a socket that is cleared, nor of one that got no bytes', () => {
  const inbox = new Inbox();
  inbox.keep(3, [bytes('gone')]);
  inbox.clear(3);
  inbox.keep(4, []);
  expect([inbox.has(3), inbox.has(4), inbox.copy(3).length]).toEqual([false, false, 0]);
});
