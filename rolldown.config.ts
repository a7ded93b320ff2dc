import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { defineConfig, type Plugin } from 'rolldown';

const dir = 'dist/breakwater';

/**
 * The program as it is installed: some eighty files instead of four hundred, because finding, opening and linking a module
 * costs more than compiling it. Packages stay outside, in `node_modules`, where a user sees them and can renew one.
 */
export default defineConfig({
  input: 'src/main.ts',
  platform: 'node',
  external: (id) => !/^[./]/.test(id),
  plugins: [startedByPath(), leaveUnchanged()],
  output: { dir, format: 'esm', entryFileNames: '[name].js', chunkFileNames: '[name].js' },
});

/** What `new URL('….js', import.meta.url)` names, such as the code of a thread, is built too, and lies beside the rest. */
function startedByPath(): Plugin {
  const pattern = /new URL\(\s*'([^']+)\.js',\s*import\.meta\.url,?\s*\)/g;
  return {
    name: 'started-by-path',
    transform(code, module) {
      for (const [, path = ''] of code.matchAll(pattern)) {
        const id = resolve(dirname(module), `${path}.ts`);
        this.emitFile({ type: 'chunk', id, fileName: `${basename(path)}.js` });
      }
      return code.replace(pattern, (_, path) => `new URL('./${basename(path)}.js', import.meta.url)`);
    },
  };
}

/** A file that would be written as it is stays untouched: another test run may be starting the program. */
function leaveUnchanged(): Plugin {
  return {
    name: 'leave-unchanged',
    generateBundle(_options, bundle) {
      for (const [name, file] of Object.entries(bundle)) {
        const path = join(dir, name);
        if (file.type !== 'chunk' || !existsSync(path)) continue;
        if (readFileSync(path, 'utf8') === file.code) delete bundle[name];
      }
    },
  };
}
