/* A libnvidia-ml.so.1 for machines without a GPU: it reports the GPUs in the file $FAKE_NVML.
 *
 * A line is "UUID TOTAL USED EXCLUSIVE [PID:USED]...", memory in GiB; it is read at every call, so
 * that a test can change it while programs run.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUCCESS, INVALID = 2, NOT_FOUND = 6, TOO_SMALL = 7, NO_DRIVER = 9 };
enum { MOST_GPUS = 64, MOST_PROCESSES = 16, TEXT = 96 };
#define GIB (1ull << 30)
#define HANDLE(handle) ((int)(long)(handle) - 1)

typedef struct { unsigned long long total, free, used; } Memory;
typedef struct { unsigned gpu, memory; } Rates;
typedef struct { unsigned pid; unsigned long long used; unsigned instance, slice; } Process;

typedef struct {
    char uuid[TEXT];
    double total, used;
    int exclusive;
    unsigned processes;
    Process process[MOST_PROCESSES];
} Gpu;

static int load(Gpu gpus[MOST_GPUS]) {
    const char *path = getenv("FAKE_NVML");
    FILE *file = path ? fopen(path, "r") : NULL;
    char line[1024];
    int count = 0;
    if (!file) return -1;
    while (count < MOST_GPUS && fgets(line, sizeof line, file)) {
        Gpu *gpu = &gpus[count];
        int used = 0, step = 0;
        double memory;
        memset(gpu, 0, sizeof *gpu);
        if (sscanf(line, "%95s %lf %lf %d%n", gpu->uuid, &gpu->total, &gpu->used,
                   &gpu->exclusive, &used) != 4) continue;
        while (gpu->processes < MOST_PROCESSES &&
               sscanf(line + used, " %u:%lf%n", &gpu->process[gpu->processes].pid, &memory,
                      &step) == 2) {
            gpu->process[gpu->processes++].used = (unsigned long long)(memory * GIB);
            used += step;
        }
        count++;
    }
    fclose(file);
    return count;
}

static int find(void *handle, Gpu *found) {
    Gpu gpus[MOST_GPUS];
    int count = load(gpus), index = HANDLE(handle);
    if (index < 0 || index >= count) return INVALID;
    *found = gpus[index];
    return SUCCESS;
}

int nvmlInitWithFlags(unsigned flags) {
    Gpu gpus[MOST_GPUS];
    (void)flags;
    return load(gpus) < 0 ? NO_DRIVER : SUCCESS;
}

int nvmlShutdown(void) { return SUCCESS; }

const char *nvmlErrorString(int error) { return error == NO_DRIVER ? "Driver Not Loaded" : "Error"; }

int nvmlDeviceGetCount_v2(unsigned *count) {
    Gpu gpus[MOST_GPUS];
    *count = (unsigned)load(gpus);
    return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) {
    Gpu gpus[MOST_GPUS];
    if ((int)index >= load(gpus)) return INVALID;
    *handle = (void *)((long)index + 1);
    return SUCCESS;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, void **handle) {
    Gpu gpus[MOST_GPUS];
    int count = load(gpus);
    for (int index = 0; index < count; index++)
        if (!strcmp(gpus[index].uuid, uuid)) {
            *handle = (void *)((long)index + 1);
            return SUCCESS;
        }
    return NOT_FOUND;
}

int nvmlDeviceGetName(void *handle, char *name, unsigned size) {
    (void)handle;
    snprintf(name, size, "Fake GPU");
    return SUCCESS;
}

int nvmlDeviceGetUUID(void *handle, char *uuid, unsigned size) {
    Gpu gpu;
    if (find(handle, &gpu)) return INVALID;
    snprintf(uuid, size, "%s", gpu.uuid);
    return SUCCESS;
}

int nvmlDeviceGetMemoryInfo(void *handle, Memory *memory) {
    Gpu gpu;
    if (find(handle, &gpu)) return INVALID;
    memory->total = (unsigned long long)(gpu.total * GIB);
    memory->used = (unsigned long long)(gpu.used * GIB);
    memory->free = memory->total - memory->used;
    return SUCCESS;
}

int nvmlDeviceGetComputeMode(void *handle, unsigned *mode) {
    Gpu gpu;
    if (find(handle, &gpu)) return INVALID;
    *mode = gpu.exclusive ? 3 : 0;
    return SUCCESS;
}

int nvmlDeviceGetUtilizationRates(void *handle, Rates *rates) {
    Gpu gpu;
    if (find(handle, &gpu)) return INVALID;
    rates->gpu = gpu.processes ? 97 : 0;
    rates->memory = 10;
    return SUCCESS;
}

int nvmlDeviceGetComputeRunningProcesses_v3(void *handle, unsigned *count, Process *processes) {
    Gpu gpu;
    if (find(handle, &gpu)) return INVALID;
    if (*count < gpu.processes) {
        *count = gpu.processes;
        return TOO_SMALL;
    }
    *count = gpu.processes;
    if (gpu.processes) memcpy(processes, gpu.process, gpu.processes * sizeof *processes);
    return SUCCESS;
}
