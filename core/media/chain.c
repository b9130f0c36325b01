/* Filter chains. */
#include "core/media/chain.h"

#include <stdio.h>

/* The source filter for frames like `frame`. */
static int add_source(struct clv_chain *chain, const AVFrame *frame, AVRational timebase)
{
    bool is_audio = frame->sample_rate > 0 && frame->width == 0;
    const AVFilter *filter = avfilter_get_by_name(is_audio ? "abuffer" : "buffer");
    AVBufferSrcParameters *parameters = av_buffersrc_parameters_alloc();
    if (!filter || !parameters) {
        av_free(parameters);
        return AVERROR(ENOMEM);
    }
    int error = AVERROR(ENOMEM);
    chain->source = avfilter_graph_alloc_filter(chain->graph, filter, "in");
    if (chain->source) {
        parameters->format = frame->format;
        parameters->time_base = timebase;
        parameters->width = frame->width;
        parameters->height = frame->height;
        parameters->sample_aspect_ratio = frame->sample_aspect_ratio;
        parameters->sample_rate = frame->sample_rate;
        error = is_audio ? av_channel_layout_copy(&parameters->ch_layout, &frame->ch_layout) : 0;
        if (error >= 0)
            error = av_buffersrc_parameters_set(chain->source, parameters);
        if (error >= 0)
            error = avfilter_init_str(chain->source, NULL);
        av_channel_layout_uninit(&parameters->ch_layout);
    }
    av_free(parameters);
    return error;
}

/* Connects source, `filters` and sink. */
static int connect(struct clv_chain *chain, const char *filters)
{
    AVFilterInOut *inputs = avfilter_inout_alloc(), *outputs = avfilter_inout_alloc();
    int error = AVERROR(ENOMEM);
    if (inputs && outputs) {
        *outputs = (AVFilterInOut){av_strdup("in"), chain->source, 0, NULL};
        *inputs = (AVFilterInOut){av_strdup("out"), chain->sink, 0, NULL};
        if (outputs->name && inputs->name)
            error = avfilter_graph_parse_ptr(chain->graph, filters, &inputs, &outputs, NULL);
    }
    avfilter_inout_free(&inputs);
    avfilter_inout_free(&outputs);
    return error < 0 ? error : avfilter_graph_config(chain->graph, NULL);
}

int clv_chain_open(struct clv_chain *out, const AVFrame *frame, AVRational timebase,
                   const char *filters, int thread_count)
{
    bool is_audio = frame->sample_rate > 0 && frame->width == 0;
    *out = (struct clv_chain){
        .format = frame->format,
        .width = frame->width,
        .height = frame->height,
        .sample_rate = frame->sample_rate,
        .channels = frame->ch_layout.nb_channels,
    };
    int error = AVERROR(ENOMEM);
    out->graph = avfilter_graph_alloc();
    if (out->graph) {
        out->graph->nb_threads = thread_count;
        error = add_source(out, frame, timebase);
    }
    if (error >= 0)
        error = avfilter_graph_create_filter(
            &out->sink, avfilter_get_by_name(is_audio ? "abuffersink" : "buffersink"), "out", NULL,
            NULL, out->graph);
    if (error >= 0)
        error = connect(out, filters);
    if (error < 0)
        clv_chain_close(out);
    return error < 0 ? error : 0;
}

void clv_chain_close(struct clv_chain *chain)
{
    avfilter_graph_free(&chain->graph);
    *chain = (struct clv_chain){0};
}

bool clv_chain_is_open(const struct clv_chain *chain)
{
    return chain->graph != NULL;
}

bool clv_chain_fits(const struct clv_chain *chain, const AVFrame *frame)
{
    return chain->format == frame->format && chain->width == frame->width &&
           chain->height == frame->height && chain->sample_rate == frame->sample_rate &&
           chain->channels == frame->ch_layout.nb_channels;
}

int clv_chain_push(struct clv_chain *chain, AVFrame *frame)
{
    return av_buffersrc_add_frame_flags(chain->source, frame, AV_BUFFERSRC_FLAG_KEEP_REF);
}

int clv_chain_pull(struct clv_chain *chain, AVFrame *frame)
{
    return av_buffersink_get_frame(chain->sink, frame);
}

AVRational clv_chain_timebase(const struct clv_chain *chain)
{
    return av_buffersink_get_time_base(chain->sink);
}
