import { expect, test } from 'vitest';
import { HangUps } from '../../../src/proxy/hang-ups.ts';

function scene() {
  const done: string[] = [];
  const hangUps = new HangUps({
    reload: () => done.push('reload'),
    log: { info: () => done.push('told') } as never,
  });
  const pass = () => void done.push('passed on');
  return { hangUps, pass, done };
}

test('without an upgrade the configuration is read again at once', () => {
  const { hangUps, done } = scene();
  hangUps.heed();
  expect(done).toEqual(['reload']);
});

test('in an upgrade it is the new process that reads it, told as soon as it listens, and at once from then on', () => {
  const { hangUps, pass, done } = scene();
  hangUps.upgradeBegins();
  hangUps.heed();
  expect(done.splice(0)).toEqual(['told']);
  hangUps.newProcessListens(pass);
  expect(done.splice(0)).toEqual(['passed on']);
  hangUps.heed();
  hangUps.replaced(undefined);
  hangUps.upgradeEnds(false);
  expect(done.splice(0)).toEqual(['told', 'passed on']);
  hangUps.heed(); // the keeper passes it on
  expect(done).toEqual([]);
});

test('where the upgrade fails this process reads it, once, and where nobody asked for it not at all', () => {
  const { hangUps, pass, done } = scene();
  hangUps.upgradeBegins();
  hangUps.heed();
  hangUps.heed();
  hangUps.newProcessListens(pass);
  hangUps.upgradeEnds(true);
  expect(done.splice(0)).toEqual(['told', 'told', 'passed on', 'reload']);
  hangUps.upgradeBegins();
  hangUps.newProcessListens(pass);
  hangUps.upgradeEnds(true);
  expect(done).toEqual([]);
});

test('a process that is not the proxy any more, and not its keeper, passes it on and says so', () => {
  const { hangUps, pass, done } = scene();
  hangUps.upgradeBegins();
  hangUps.replaced(pass);
  hangUps.upgradeEnds(false);
  hangUps.heed();
  expect(done).toEqual(['told', 'passed on']);
});
