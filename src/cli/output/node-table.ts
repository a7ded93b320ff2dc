/** The columns in which commands show nodes. */

import type { NodeView } from '../../admin/backend.ts';
import type { Colour, Column } from './table.ts';

const healthColours: Readonly<Record<NodeView['health'], Colour>> = {
  healthy: 'green',
  unhealthy: 'red',
  unknown: 'yellow',
};

/** The node table as `node list` and the quick start show it. */
export const nodeColumns: readonly Column<NodeView>[] = [
  { title: 'ID', value: ({ id }) => id, cut: true },
  { title: 'POOL', value: ({ pool }) => pool },
  { title: 'URL', value: ({ url }) => url, cut: true },
  { title: 'WEIGHT', value: ({ weight }) => weight, align: 'right' },
  {
    title: 'STATE',
    value: ({ state }) => state,
    colour: ({ state }) => (state === 'enabled' ? undefined : 'yellow'),
  },
  { title: 'HEALTH', value: ({ health }) => health, colour: ({ health }) => healthColours[health] },
  { title: 'CONNECTIONS', value: ({ connections }) => connections, align: 'right' },
  { title: 'SOURCE', value: ({ source }) => source },
];
