package tap

// SecretName is for the tests, which know otherwise what stands under which name.
var SecretName = secretName
