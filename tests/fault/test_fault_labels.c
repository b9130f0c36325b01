/* Lists without memory: that is what is reported, and nothing else. */
#include "core/error.h"
#include "core/file.h"
#include "indexer/captions.h"
#include "indexer/labelled.h"
#include "tests/fault/fault.h"
#include "tests/t.h"

#include <string.h>

static const char *list, *classes, *prompts, *facts;

static const char *put(const char *directory, const char *name, const char *text)
{
    const char *path = t_path(directory, name);
    CHECK_OK(clv_file_replace(path, text, strlen(text)));
    return path;
}

static int read_prompts(const struct clv_classes *of)
{
    struct clv_interpretations texts = {0};
    char **all = NULL;
    int count = 0;
    int status = clv_interpretations_add(&texts, of, prompts);
    if (status == CLV_OK)
        status = clv_class_prompts(&all, &count, of, &texts);
    CHECK((all != NULL) == (status == CLV_OK));
    clv_class_prompts_free(all, count, of->count);
    clv_interpretations_release(&texts);
    return status;
}

static int read_lists(void *payload)
{
    struct clv_labels labels = {0};
    struct clv_captions captions = {0};
    struct clv_labelled *labelled = NULL;
    const struct clv_labels_options options = {
        .classes_path = classes, .captions_path = facts, .group_column = "group"};
    const struct clv_captions_options about = {.facts_path = facts};
    bool held[4];
    (void)payload;
    int status = clv_labels_open(&labels, list, &options);
    if (status == CLV_OK)
        status = read_prompts(&labels.classes);
    if (status == CLV_OK)
        status = clv_labels_hold_out(held, &labels, 0.5, 1);
    if (status == CLV_OK)
        status = clv_captions_open(&captions, facts, &about);
    if (status == CLV_OK)
        status = clv_labelled_create(&labelled, &labels, held, true,
                                     &(struct clv_labelled_options){.thread_count = 1});
    if (status == CLV_OK)
        status = clv_labelled_set_truth(labelled, &captions);
    if (status == CLV_OK)
        CHECK_INT(clv_labelled_clips(labelled)->clip_count, 2);
    clv_labelled_free(labelled);
    clv_captions_release(&captions);
    clv_labels_release(&labels);
    return status;
}

static int read_names(void *payload)
{
    struct clv_labels labels = {0}, again = {0};
    const struct clv_labels_options none = {0};
    (void)payload;
    int status = clv_labels_open(&labels, list, &none);
    const struct clv_labels_options same = {.classes = &labels.classes};
    if (status == CLV_OK)
        status = clv_labels_open(&again, list, &same);
    if (status == CLV_OK)
        CHECK_INT(again.classes.count, 4);
    clv_labels_release(&again);
    clv_labels_release(&labels);
    return status;
}

static void check_memory(void *payload, int status)
{
    (void)payload;
    CHECK(status == CLV_OK || status == CLV_ENOMEM);
}

static void lists_report_want_of_memory(void)
{
    const char *directory = t_directory();
    list =
        put(directory, "l.csv", "path,label,group\na,sit down,1\nb,SIT_down,1\nc,wave,2\nd,1,2\n");
    classes = put(directory, "c.csv", "id,name\n0,sit down\n1,wave\n");
    prompts = put(directory, "p.csv", "id;name\n0;\"one; two\"\n1;three\n1;four\n");
    facts = put(directory, "f.csv", "path,sentence,place\na,x,home\nb,y,\nc,z,park\nd,x,home\n");
    fault_each(&(struct fault_case){
        .name = "read lists", .kinds = FAULT_MEMORY, .operate = read_lists, .check = check_memory});
    fault_each(&(struct fault_case){
        .name = "read names", .kinds = FAULT_MEMORY, .operate = read_names, .check = check_memory});
}

int main(void)
{
    T_RUN(lists_report_want_of_memory);
    return t_end();
}
