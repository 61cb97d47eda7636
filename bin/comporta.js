#!/usr/bin/env node
/*
 * The command line's first file: checks the version of Node, then hands over.
 *
 * Written in old syntax and without static imports, because an old Node must
 * be able to read all of it to say that it is too old. A checkout runs its
 * sources, so that a `dist` left from an earlier build is never mistaken for
 * them; the installed package has only `dist`.
 */
var neededMajor = 22
var neededMinor = 22
var found = process.versions.node.split('.')
var isOld = +found[0] < neededMajor || (+found[0] === neededMajor && +found[1] < neededMinor)

function runMain(module) {
  return module.main(process.argv.slice(2))
}

/** True if the module itself is absent, false if it is one that it imports. */
function isAbsent(error, path) {
  return error.code === 'ERR_MODULE_NOT_FOUND' && String(error.url).slice(-path.length) === path
}

if (isOld) {
  process.stderr.write(
    'comporta needs Node ' +
      neededMajor +
      '.' +
      neededMinor +
      ' or newer and this is Node ' +
      process.versions.node +
      '. In a checkout, npm ci brings a Node for npm start and all npm scripts (unless ignore-scripts is set);' +
      ' elsewhere: npx -p node@24 -p comporta comporta --help\n'
  )
  process.exitCode = 78
} else {
  import('../src/cli/main.ts')
    .catch(function (error) {
      if (!isAbsent(error, '/src/cli/main.ts')) throw error
      return import('../dist/cli/main.js')
    })
    .then(runMain)
    .then(function (exitCode) {
      if (typeof exitCode === 'number') process.exitCode = exitCode
    })
    .catch(function (error) {
      process.stderr.write('comporta: ' + (error && error.stack ? error.stack : String(error)) + '\n')
      process.exitCode = 70
    })
}
