import { expect, it } from 'vitest';
import { NodeEngine } from '../../src/engine/node/engine.ts';

it('the node engine says that it hands nothing over', async () => {
  const engine = new NodeEngine({
    accept: () => undefined,
    highWaterBytes: 65_536,
    onFault: () => undefined,
  });
  const listener = { index: 0, host: '127.0.0.1', port: 0 };
  const refused = expect.objectContaining({ code: 'UPGRADE_UNAVAILABLE' });
  await expect(engine.listen({ ...listener, inherited: [3] })).rejects.toEqual(refused);
  const { listening, leave, freeze, thaw, depart, adopt } = engine;
  for (const each of [listening, leave, freeze, thaw, depart, adopt]) expect(each).toThrow(refused);
  await engine.close();
});
