#include "server/store/api_usage.h"

static const struct {
    const char *name;
    unsigned families;
} reports[API_REPORT_COUNT] = {
    [API_ADMIN_CLAUDE_CODE] = {"admin_claude_code",
                               API_TOKENS | API_COST | API_ACTIVITY | API_EDITS},
    [API_ENTERPRISE_USERS] = {"enterprise_users", API_ACTIVITY | API_EDITS},
    [API_ENTERPRISE_USAGE] = {"enterprise_usage", API_TOKENS},
    [API_ENTERPRISE_COST] = {"enterprise_cost", API_COST},
    [API_ANALYTICS_USAGE] = {"analytics_usage", API_TOKENS},
    [API_ANALYTICS_COST] = {"analytics_cost", API_COST},
};

const char *api_report_name(enum api_report report)
{
    return reports[report].name;
}

unsigned api_report_families(enum api_report report)
{
    return reports[report].families;
}
