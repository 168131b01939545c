// The module path stands here, and in the imports that scripts/module.sh changes with it.
module example.org/librv

go 1.19
