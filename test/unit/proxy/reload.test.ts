import { expect, test } from 'vitest';
import { BreakwaterError } from '../../../src/base/errors.ts';
import { ConfigHolder } from '../../../src/config/current.ts';
import { parseConfig } from '../../../src/config/load.ts';
import { createReload } from '../../../src/proxy/reload.ts';
import { silentLog } from '../../support/memory-backend.ts';

/** A reload whose steps are noted in their order; one of them may fail. */
function scene(file: object = {}, failing = '') {
  const steps: string[] = [];
  const outcomes: string[] = [];
  const step = (name: string) => {
    steps.push(name);
    if (name === failing) throw new BreakwaterError('ADDRESS_IN_USE', `${name} failed`);
  };
  const current = new ConfigHolder(parseConfig('', 'test'));
  const state = { accepting: true };
  const { run: reload } = createReload({
    read: async () => {
      step('read');
      return parseConfig(JSON.stringify(file), 'test');
    },
    current,
    wanted: async () => {
      step('files');
      return [];
    },
    listeners: {
      change: async () => {
        step('bind');
        return { settings: [], leave: async () => step('listeners leave') };
      },
    },
    enter: async () => step('enter'),
    leave: () => step('nodes leave'),
    data: async () => {
      step('data');
      return [];
    },
    accepting: () => state.accepting,
    onBegin: () => {},
    onDone: () => {},
    log: { ...silentLog, error: (_fields: unknown, outcome?: string) => outcomes.push(outcome ?? '') },
  });
  return { reload, steps, outcomes, current, state };
}

test('what may fail comes before anything changes, nodes come before devices, and leave behind them', async () => {
  const { reload, steps, current } = scene({ rules: [{ when: { clientId: 'x' }, reject: 'banned' }] });
  expect(await reload()).toMatchObject({ settings: ['rules'] });
  expect(steps).toEqual(['read', 'files', 'bind', 'enter', 'data', 'listeners leave', 'nodes leave']);
  expect(current.config.rules).toHaveLength(1);
});

test.each(['read', 'files', 'bind'])('a failure to %s leaves everything as it was', async (failing) => {
  const { reload, steps, outcomes, current } = scene(
    { rules: [{ when: { clientId: 'x' }, pool: 'default' }] },
    failing,
  );
  await expect(reload()).rejects.toMatchObject({ code: 'ADDRESS_IN_USE' });
  expect(steps.at(-1)).toBe(failing);
  expect(outcomes).toEqual(['not reloaded: everything stays as it was']);
  expect(current.config.rules).toEqual([]);
});

test.each([
  'enter',
  'data',
])('behind that, a failure to %s says so, and all the rest is done', async (failing) => {
  const { reload, steps, outcomes } = scene({}, failing);
  await expect(reload()).rejects.toMatchObject({ code: 'ADDRESS_IN_USE' });
  expect(steps).toEqual(['read', 'files', 'bind', 'enter', 'data', 'listeners leave', 'nodes leave']);
  expect(outcomes).toEqual(['reloaded in part: reload again']);
});

test('what needs a restart is refused before a file is read, and so is a reload while nothing is accepted', async () => {
  const fixed = scene({ cluster: 'other' });
  await expect(fixed.reload()).rejects.toMatchObject({
    ...{ code: 'RELOAD_NEEDS_RESTART', message: expect.stringMatching(/^cluster cannot change/) },
  });
  expect(fixed.steps).toEqual(['read']);
  const stopping = scene();
  stopping.state.accepting = false;
  await expect(stopping.reload()).rejects.toMatchObject({ code: 'RELOAD_REFUSED', retryable: true });
  expect(stopping.steps).toEqual([]);
});
