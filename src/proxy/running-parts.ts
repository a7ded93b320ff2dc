import type { Admin } from '../admin/admin.ts';
import type { Common } from './common.ts';
import type { DataPlaneParts } from './data-plane-parts.ts';
import type { Owners } from './owners.ts';
import type { Control } from './start-control.ts';

/** The parts of a proxy that runs, as those see them who hand it over and take it over. */
export interface RunningParts {
  readonly common: Common;
  readonly dataPlane: DataPlaneParts;
  readonly control: Control;
  readonly admin: Admin;
  readonly owners: Owners;
}
