/** Data flows one way: protocol → application → domain → ports ← adapters. Only processes/ and cli/ put parts together. */
const only = (name, from, to) => ({
  name,
  severity: 'error',
  from: { path: `^src/${from}/` },
  to: { path: '^src/', pathNot: `^src/(${[from, ...to].join('|')})/` },
});

module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    only('domain-imports-nothing', 'domain', []),
    only('protocol', 'protocol', ['domain']),
    only('ports', 'ports', ['domain', 'protocol']),
    only('projections', 'projections', ['domain', 'ports', 'protocol']),
    only('application', 'application', ['domain', 'ports', 'projections', 'protocol']),
    only('adapters', 'adapters', ['domain', 'ports', 'protocol']),
    only('sdk', 'sdk', ['domain', 'protocol']),
    only('web', 'web', ['sdk', 'domain', 'protocol']),
    {
      name: 'adapters-do-not-know-each-other',
      severity: 'error',
      from: { path: '^src/adapters/([^/]+)/' },
      to: { path: '^src/adapters/', pathNot: '^src/adapters/$1/' },
    },
    {
      name: 'the-pure-core-does-no-io',
      severity: 'error',
      from: { path: '^src/(domain|projections|ports|application|protocol)/' },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'domain-and-ports-need-no-package',
      severity: 'error',
      from: { path: '^src/(domain|ports)/' },
      to: { path: 'node_modules' },
    },
    {
      name: 'what-is-published-stands-alone',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(scripts|test|bench)/' },
    },
    {
      name: 'every-import-is-there',
      severity: 'error',
      from: { path: '^src/' },
      to: { couldNotResolve: true },
    },
    {
      name: 'no-test-package-in-the-product',
      severity: 'error',
      // What the web client is made of is built into its files: whoever installs us needs none of it.
      from: { path: '^src/', pathNot: '^src/web/' },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'the-web-client-knows-the-sdk-and-types-of-the-wire-alone',
      severity: 'error',
      from: { path: '^src/web/' },
      to: { path: '^src/', pathNot: ['^src/web/', '^src/sdk/index\\.ts$'], dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'what-the-web-client-knows-is-tested-without-a-browser',
      severity: 'error',
      from: { path: '^src/web/(model|link)/' },
      to: { path: '^src/web/(state|ui)/' },
    },
    {
      name: 'the-sdk-runs-in-browsers',
      severity: 'error',
      from: { path: '^src/(sdk|web)/', pathNot: '^src/sdk/node/' },
      to: { dependencyTypes: ['core'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      extensions: ['.ts', '.tsx', '.js'],
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'require', 'types'],
    },
  },
};
