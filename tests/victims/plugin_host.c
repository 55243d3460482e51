// plugin_host LIBRARY: loads a plugin while it runs.
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv) {
    if (argc > 1 && dlopen(argv[1], RTLD_NOW))
        return 0;
    fprintf(stderr, "cannot load plugin: %s\n", dlerror());
    return 1;
}
