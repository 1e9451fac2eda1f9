/// <reference types="vitest/config" />
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import react from '@vitejs/plugin-react';
import { defineConfig, type Plugin } from 'vite';
import { hi } from './src/i18n/hi';

/** Writes each language's texts beside the scripts, and packs every text file once: the service packs nothing per request. */
function packed(): Plugin {
  let root = '';
  return {
    name: 'packed',
    apply: 'build',
    configResolved(config) {
      root = resolve(config.root, config.build.outDir);
    },
    closeBundle() {
      writeFileSync(join(root, 'hi.json'), JSON.stringify(hi));
      const files = readdirSync(root, { recursive: true, withFileTypes: true });
      for (const file of files.filter((entry) => entry.isFile() && /\.(html|js|css|svg|json)$/.test(entry.name))) {
        const path = join(file.parentPath, file.name);
        writeFileSync(`${path}.gz`, gzipSync(readFileSync(path), { level: 9 }));
      }
    },
  };
}

export default defineConfig({
  base: '/portal/',
  plugins: [react(), packed()],
  build: {
    target: 'es2022',
    // infra/portal.sh empties the folder; what is tracked in it stays.
    emptyOutDir: false,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      output: {
        // What signing and reading a contract need stands in one file with what it rests on: many small ones pack worse.
        advancedChunks: {
          groups: [
            { name: 'shared', test: /src\/(parts\/(signed|signed-act|two-people|json|save|step-up|diff|facets|basket|keys|payment-text|contract-text|further|marks|contract-acts|signatures|verdicts|lineage|receipts|history|why)|keys\/(did|held|cose)|api\/(calm|steps)|screens\/admin\/(desk|by-two))\.tsx?$/ },
            // So do a run, its evidence and what it owes, which are looked at one after the other.
            { name: 'run-pages', test: /src\/(screens\/(run|evidence|payment|dispute)|parts\/(decisions|progress|chart|timeline)|log\/(certificate|evidence))\.tsx?$/ },
            // And the two long forms, which rest on the same parts.
            { name: 'forms', test: /src\/(screens\/(wizard|compose)|parts\/(terms|terms-form|number-field|statistics|compare))\.tsx?$/ },
          ],
        },
      },
    },
    chunkSizeWarningLimit: 1000,
  },
  // For work on the portal itself: `npm run dev` beside a running house.
  server: { proxy: { '^/(v1|auth|log|oauth|\\.well-known)': process.env.DEPA_PORTAL_PROXY ?? 'http://localhost:8080' } },
  test: { environment: 'node', include: ['src/**/*.test.ts'], setupFiles: ['tests/unit-setup.mjs'], testTimeout: 60_000 },
});
