/* Reading the agent's status file into the scene. */
#ifndef DOCTOR_SCENE_STATUS_H
#define DOCTOR_SCENE_STATUS_H

#include "doctor/scene.h"

void scene_read_status(const char *run_dir, const struct fs *fs, struct scene_status *out);

#endif
