import type { ConfigCheck } from '../admin/backend.ts';
import { BreakwaterError, messageOf } from '../base/errors.ts';
import type { Config } from '../config/config.ts';
import { difference } from '../config/difference.ts';
import { ConfigError, type Finding, formatProblem } from '../config/problems.ts';
import { configError, placed } from '../config/source.ts';
import { findWarnings } from '../config/warnings.ts';
import { adminExpiries, listenerExpiries, upstreamExpiries } from './expiry-findings.ts';
import { findMachineProblems, findMachineWarnings } from './machine.ts';
import { readAdminTlsFiles, readTlsFiles, readUpstreamTlsFiles } from './tls-files.ts';

/** What is wrong with a configuration, found without applying it. */

/** Whether this machine has what the configuration names; returns what will be missing soon. @throws ConfigError */
export async function checkHere(config: Config): Promise<Finding[]> {
  const files = await readTlsFiles(config.listeners, []);
  const upstreamFiles = await readUpstreamTlsFiles(config.pools);
  const adminFiles = await readAdminTlsFiles(config.admin.tls);
  const problems = [files, upstreamFiles, adminFiles].flatMap((each) => each.problems);
  const found = [...(await findMachineProblems(config)), ...problems];
  if (found.length > 0) throw configError(config, found);
  const nowMs = Date.now();
  return [
    ...findMachineWarnings(config),
    ...listenerExpiries(files, nowMs),
    ...upstreamExpiries(config.pools, upstreamFiles, nowMs),
    ...adminExpiries(adminFiles, nowMs),
  ];
}

/** What a reload would find, and change. @param read the configuration as it is now */
export async function checkReload(current: Config, read: () => Promise<Config>): Promise<ConfigCheck> {
  const warnings: string[] = [];
  const none = { added: [], removed: [], changed: [] };
  const nothing = { listeners: none, pools: none, settings: [] };
  try {
    const next = await read();
    const tell = (found: readonly Finding[]) => warnings.push(...placed(next, found).map(formatProblem));
    tell(findWarnings(next));
    tell(await checkHere(next));
    const { needRestart, ...changes } = difference(current, next);
    const problems = needRestart.map((path) => `${path}: cannot change while the proxy runs; start it again`);
    return { valid: problems.length === 0, problems, warnings, ...changes };
  } catch (error) {
    if (!(error instanceof BreakwaterError)) throw error;
    const { problems, more } = error instanceof ConfigError ? error : { problems: [], more: 0 };
    const lines = problems.length > 0 ? problems.map(formatProblem) : [messageOf(error)];
    if (more > 0) lines.push(`… and ${more} more`);
    return { valid: false, problems: lines, warnings, ...nothing };
  }
}
