/** A CommonJS function, as most functions in AWS are. */
exports.handler = async () => 'commonjs'
