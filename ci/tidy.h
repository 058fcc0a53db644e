/* What clang-tidy cannot see from one file at a time (ci/lint includes this before each): these always return false, so
 * that `return error_set(…)` ends a path. */
#include "base/error.h"
#include "base/hocon_node.h"

#define error_set(...) ((void)error_set(__VA_ARGS__), false)
#define error_set_details(...) ((void)error_set_details(__VA_ARGS__), false)
#define error_prefix(...) ((void)error_prefix(__VA_ARGS__), false)
#define hocon_fail(...) ((void)hocon_fail(__VA_ARGS__), false)
