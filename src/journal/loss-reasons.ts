/** Why served connections end that the loss of their node explains: what an incident counts as disconnected. */
export const lossReasons: ReadonlySet<unknown> = new Set([
  ...['node-closed', 'node-reset', 'node-timeout', 'no-node', 'session-lost', 'granted-less'],
]);
