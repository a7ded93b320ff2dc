import { errorCodeTable, exitCodeTable } from './error-codes.ts';
import { eventTable } from './events.ts';
import { metricTable } from './metrics.ts';

/** The parts of `docs/operations.md` that are made from code, by name. */
export async function operationsSections(): Promise<Record<string, string>> {
  return {
    'exit-codes': exitCodeTable(),
    events: eventTable(),
    metrics: await metricTable(),
    'error-codes': errorCodeTable(),
  };
}
