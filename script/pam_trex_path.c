/* pam_trex_path.so: a fixed PATH for what follows in the stack of a set-user-ID program.
 *
 * libpython looks along PATH for a `python3` and takes the standard library beside it, in isolated
 * mode too; without PATH it looks below the working directory. Whoever calls su chooses both, and so
 * would choose what pam_python.so runs as root. In Python nothing can be done about it: by then it
 * is too late. So this line comes before it:
 *
 *     auth  requisite  pam_trex_path.so
 *
 * It answers PAM_IGNORE: it neither lets in nor refuses. Built and installed by `script/install --su`.
 */
#include <security/pam_modules.h>
#include <stdlib.h>
#include <sys/auxv.h>

static int set_path(void)
{
    if (!getauxval(AT_SECURE)) /* the caller is trusted with its own environment: sshd, login */
        return PAM_IGNORE;
    return setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1) == 0 ? PAM_IGNORE : PAM_BUF_ERR;
}

#define ENTRY_POINT(name)                                                                   \
    int name(pam_handle_t *pamh, int flags, int argc, const char **argv)                    \
    {                                                                                       \
        (void)pamh, (void)flags, (void)argc, (void)argv;                                    \
        return set_path();                                                                  \
    }

ENTRY_POINT(pam_sm_authenticate)
ENTRY_POINT(pam_sm_setcred)
ENTRY_POINT(pam_sm_acct_mgmt)
ENTRY_POINT(pam_sm_open_session)
ENTRY_POINT(pam_sm_close_session)
ENTRY_POINT(pam_sm_chauthtok)
