import { expect, test } from 'vitest';
import { Departures } from '../../../src/data-plane/departures.ts';

/** A listener with so many devices; what each was told when it was ended. */
function crewOf(count: number, url = 'mqtts://0.0.0.0:8883', neighbours: string[] = []) {
  const told: string[] = [];
  const open = new Set<{ end(reason: string, reference?: string): void }>();
  const enter = () => {
    const device = {
      end(reason: string, reference = '') {
        told.push(`${reason} ${reference}`.trim());
        open.delete(device);
      },
    };
    open.add(device);
    return device;
  };
  for (let i = 0; i < count; i++) enter();
  return { listener: { url, neighbours }, open, told, enter };
}

let drawn = 0;
const random = () => (drawn++ % 10) / 10;
const order = { departure: 1, reason: 'proxy-drain', references: [] } as const;

test('those leave that were there when it began; who comes later, and who has left, is not counted', () => {
  const departures = new Departures(random);
  const crew = crewOf(10);
  const [first] = crew.open;
  expect(departures.take({ ...order, count: 0 }, [crew])).toEqual({ ended: 0, left: 10 });
  crew.enter();
  if (first !== undefined) crew.open.delete(first); // by itself
  let ended = 0;
  for (let i = 0; i < 10; i++) ended += departures.take({ ...order, count: 3 }, [crew]).ended;
  expect([ended, crew.told.length, crew.open.size]).toEqual([9, 9, 1]);
  expect(departures.take({ ...order, departure: 2, count: 5 }, [crew])).toEqual({ ended: 1, left: 0 });
});

test('all listeners are thinned out alike', () => {
  const departures = new Departures(Math.random);
  const [a, b] = [crewOf(1000), crewOf(1000)];
  departures.take({ ...order, count: 1000 }, [a, b]);
  expect(a.told.length + b.told.length).toBe(1000);
  expect(Math.min(a.told.length, b.told.length)).toBeGreaterThan(350);
});

test('a device is told one of the neighbours of its listener, or a listener of its scheme at another proxy', () => {
  const departures = new Departures(random);
  const references = [
    { scheme: 'mqtts', address: 'edge-2:8883' },
    { scheme: 'mqtts', address: 'edge-3:8883' },
    { scheme: 'mqtt', address: 'edge-2:1883' },
  ];
  const crews = [
    crewOf(20),
    crewOf(20, 'mqtt://0.0.0.0:1883', ['near:1883']),
    crewOf(20, 'wss://[::]:8084/mqtt'),
  ];
  departures.take({ ...order, count: 60, references }, crews);
  expect(crews.map(({ told }) => [...new Set(told)].sort())).toEqual([
    ['proxy-drain edge-2:8883', 'proxy-drain edge-3:8883'],
    ['proxy-drain near:1883'],
    ['proxy-drain'],
  ]);
});

test('a late order of a departure that another one has replaced lets nobody leave', () => {
  const departures = new Departures(random);
  const crew = crewOf(10);
  departures.take({ ...order, departure: 1, count: 2 }, [crew]);
  departures.take({ ...order, departure: 2, count: 5 }, [crew]);
  const back = crew.enter();
  expect(departures.take({ ...order, departure: 1, count: 5 }, [crew])).toEqual({ ended: 0, left: 0 });
  expect(departures.take({ ...order, departure: 2, count: 50 }, [crew])).toEqual({ ended: 3, left: 0 });
  expect([...crew.open]).toEqual([back]);
});

test('devices of another thread that has died leave too, also where they come when it has begun here', () => {
  const departures = new Departures(random);
  const crew = crewOf(2);
  const join = (count: number) =>
    departures.join(Array.from({ length: count }, () => ({ leaver: crew.enter(), crew })));
  join(1); // nothing has begun: it is among those that are noted then
  expect(departures.take({ ...order, count: 0 }, [crew])).toEqual({ ended: 0, left: 3 });
  crew.enter();
  const [gone] = crew.open;
  if (gone !== undefined) crew.open.delete(gone); // by itself
  join(2);
  expect(departures.take({ ...order, count: 9 }, [crew])).toEqual({ ended: 4, left: 0 });
  expect(crew.open.size).toBe(1);
});
