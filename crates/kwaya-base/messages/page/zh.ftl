# `kwaya serve` 的页面，中文。

### On every page

skip = 跳到正文
rooms = 页面
room-overview = 概览
room-data = 数据
room-training = 训练
room-try = 试用
language = 语言
signed-in = 已登录：{ $name }
sign-out = 退出
stays-here = 您在这里写的内容只留在这台机器上。
made-with = 由 Kwaya { $version } 制作
next-page = 下一页
previous-page = 上一页
page-number = 第 { $page } 页
nothing-here = 这里没有内容。
show = 显示
all = 全部

### Figures

documents = { $count } 份文档
files = { $count } 个文件
tokens = { $count } 个词元
size-bytes = { $count } 字节
size-kb = { $count } kB
size-mb = { $count } MB
size-gb = { $count } GB
seconds = { $count } 秒
minutes = { $minutes } 分 { $seconds } 秒
hours = { $hours } 小时 { $minutes } 分
percent = { $count }%
month = { $month ->
        [1] 1
        [2] 2
        [3] 3
        [4] 4
        [5] 5
        [6] 6
        [7] 7
        [8] 8
        [9] 9
        [10] 10
        [11] 11
       *[12] 12
    }
day = { $year }年{ $month }月{ $day }日
moment = { $day } { $time } UTC

### Overview

overview-lead = 运行在这台机器上的语言模型。您问它的内容不会离开这里。
overview-built = { $day }在这里由{ $documents }构建而成。
overview-try = 试一试
overview-model = 模型
model-weights = 权重
model-context = 一次可读
model-vocabulary = 词表
model-layers = 层数
model-family = 系列
overview-from = 由什么构建
from-documents = 文档
from-text = 文本
from-languages = 语言
from-licences = 许可证
from-uses = 用途
from-hash = 文档指纹
use-any = 任何用途
use-research = 研究
use-education = 教育
use-health-care = 医疗
use-public-service = 公共服务
use-commercial = 商业
overview-quality = 它对各语言掌握得如何
quality-meaning = 对从未见过的文本，每个字节需要的比特数：越少，说明它越懂这种语言。旁边是只做压缩的程序，以及训练之前的模型。
quality-language = 语言
quality-trained = 本模型
quality-compressor = 压缩程序
quality-before = 训练之前
overview-now = 此刻
now-writing = 正在写的回答
now-waiting = 等待中
now-written = 启动以来写出
now-read = 启动以来读入
now-since = 开始运行
model-changed = 模型文件在载入后已更改。回答仍来自原来的模型。要使用新文件，请重新启动服务。
overview-machine = 这台机器
machine-processor = 处理器
machine-threads = 使用的线程
machine-instructions = 指令集
machine-memory = 内存
machine-disk = 磁盘
free-of = 空闲 { $free }，共 { $all }
free = 空闲 { $free }
overview-programs = 给其他程序
programs-meaning = 凡是支持 OpenAI API 的程序都可以使用这个模型，只需要这个地址：
link-api = API 说明
link-model-card = 模型卡
link-data-card = 数据卡
link-report = 构建报告

### Data

data-lead = { $documents }，共 { $size } 文本，取自{ $files }。
data-browse = 浏览文档
data-left-out = 未采用
data-languages = 语言
data-language = 语言
data-documents = 文档
data-text = 文本
data-share = 占比
data-held-out = 留作测量
data-sources = 来源及其许可证
source-licence = 许可证
source-by = 许可人
source-on = 自
source-until = 至
source-no-end = 无期限
source-for = 用于
data-dropped = 哪些未采用，为什么
data-dropped-lead = 未采用：{ $documents }。点开每个原因可以看到因此未采用的内容。
data-dropped-none = 全部采用。
dropped-reason = 原因
data-limits = 对文本的要求
limits-lead = 每份文本都会测量。与该语言的常态相差太远的不予采用。
limits-of = { $language } 的界限
limit-low = 至少
limit-high = 至多
limit-from = 依据
limit-beyond = 超出的文本
origin-stated = 配方
origin-published = 研究文献
origin-learned = 在此学得
origin-moved = 学得后放宽
data-lengths = 文档长度
length-between = { $low } 至 { $high }
data-formats = 格式
format = 格式
data-private = 已替换的个人信息
kind = 种类
places = 处数
private-email = 电子邮箱
private-phone = 电话号码
private-card = 支付卡
private-iban = 银行账户
private-ip = 网络地址
private-coordinates = 坐标
private-id = 证件号码
private-money = 资金账户与代码
private-name = 姓名
twin-of = 保留的是：{ $name }

### A document

document-size = 大小
document-source = 来源
document-done = 对它做过的处理
document-passage = 转到该段落
step-extract = 从 { $format } 取出文本（{ $size }）
step-decode = 按编码 { $encoding } 读取
step-mend = 修复：{ $characters } 个字符，{ $words } 个词
step-normalise = 整理：之前 { $before }，之后 { $after }
step-cut = 长文的第 { $piece } 部分，共 { $pieces } 部分
step-identify = 识别的语言：{ $language }（把握 { $percent }）
step-lines = 去掉 { $lines } 行菜单之类的内容
step-paragraphs = 去掉其他语言的内容 { $size }
step-redact = 替换 { $places } 处个人信息
step-repeated = 去掉其他文档已有的 { $paragraphs } 个段落
role-user = 人
role-assistant = 模型
role-system = 指示

### Training

training-building = 正在构建。
training-idle = 目前没有在构建。
training-stages = 构建步骤
stage = 步骤
stage-corpus = 读取并挑选文档
stage-tokenizer = 制作词表
stage-extend = 向词表添加词
stage-tokenize-base = 测量原来的词表
stage-tokenize = 把文本变成词元
stage-train = 训练
stage-merge = 合并所学
stage-evaluate = 测量模型
stage-done = 完成
stage-next = 尚未开始
stage-at = { $step } / { $steps }，大约还需 { $left }
training-curve = 模型怎样学习
curve-meaning = 线越低，模型对后文的预测越好。
curve-training = 用来训练的文本
curve-held-out = 从未见过的文本
curve-tokens = 已读 { $count } 个词元
curve-none = 训练开始后会出现曲线。
curve-figures = 同样的内容，用数字表示
training-look-again = 再看一次
training-cost = 预测与实际
cost-forecast = 预测
cost-truth = 实际
cost-time = 时间
cost-memory = 内存
cost-disk = 磁盘
cost-speed = 速度
per-second = 每秒 { $count } 个词元
training-samples = 它自己写的内容
samples-meaning = 粗体字是给定的开头，其余由模型续写。

### Try

try-chat = 对话
try-ask = 询问文档
try-classify = 分类
chat-lead = 与 { $model } 对话。
chat-warning = 它可能出错，重要的内容请核对。
chat-message = 您的消息
chat-send = 发送
chat-stop = 停止
chat-new = 新对话
chat-you = 您
chat-model = 模型
chat-cut = 回答达到最大长度，已被截断。
chat-failed = 回答中断了。
ask-lead = 回答来自文档，并注明出自哪些文档。
ask-question = 您的问题
ask-send = 询问
ask-sources = 段落
ask-none = 文档中没有说明。
ask-quoted = 用文档中的原话：
ask-unsupported = 模型还说了以下内容，没有段落支持：
classify-lead = 为文本选出最合适的标签。
classify-text = 您的文本
classify-send = 分类
classify-result = 标签
classify-unsure = 不确定：没有明显合适的标签。
classify-likely = 可能性
classify-because = 起作用的词

### Signing in

sign-in = 登录
sign-in-lead = 管理这台服务器的人会给您一个令牌。
sign-in-token = 令牌
sign-in-wrong = 这里不认识这个令牌。请检查是否完整复制，或另要一个。

### When something is not possible

error-path = 这个地址没有内容
    .remedy = 链接可能已经过时，或有字母写错。请从概览重新开始。
error-host = 这个服务只供这台电脑使用
    .remedy = 请用 http://localhost 加端口号打开。
error-role = 您的令牌不允许这样做
    .remedy = 请向管理服务器的人要求这项权限。
error-rate = 短时间内请求太多
    .remedy = 请等一分钟再试。
error-full = 还有很多人在等待回答
    .remedy = 请过一分钟再试。
error-making = 文档正在准备中
    .remedy = 请过一分钟再试。
error-stopping = 服务即将停止
    .remedy = 请过几分钟再试。
error-forged = 这个表单太旧，或不是来自这个页面
    .remedy = 请重新打开页面，再发送一次。
error-long = 内容太长
    .remedy = 请少发一些文字，或开始新对话。
error-slow = 回答用时太长
    .remedy = 请问得短一些，或稍后再试。
error-form = 表单没有按要求填写
    .remedy = 请返回重新填写。
error-document = 语料库中没有这份文档
    .remedy = 它可能已被撤回，或语料库已重新构建。
error-method = 这个地址不能这样使用
    .remedy = 请从概览重新开始。
error-internal = 服务器出了问题
    .remedy = 请再试一次。如果仍然如此，请告诉管理服务器的人。

### Why something was left out

reason-empty = 文件是空的
reason-too-large = 文件太大
reason-unreadable = 文件无法打开
reason-special-file = 不是文档，而是设备或管道
reason-link-loop = 指回已读文件夹的链接
reason-withdrawn = 已被撤回
reason-picture = 图片
reason-unknown-format = 无法读取的格式
reason-damaged = 文件已损坏
reason-encrypted = 用密码锁住
reason-no-text = 只有图片、没有文字的 PDF
reason-unreadable-font = 无法辨认文字的 PDF
reason-time-limit = 读取用时太长
reason-not-text = 不是连贯的文本
reason-bad-line = 既无文本也无对话的一行
reason-bad-member = 压缩包中锁住或不安全的部分
reason-archive-limit = 压缩包里的内容太多
reason-no-column = 没有文本列的表格
reason-no-document = 跳转页、错误页之类
reason-too-short = 文本太短
reason-other-language = 不需要的语言
reason-contaminated = 含有测试文本的段落
reason-exact-duplicate = 与另一份文档相同
reason-near-duplicate = 与另一份文档几乎相同
reason-repeated-paragraphs = 只有其他文档已有的段落
reason-boilerplate = 大多是来源中许多页面共有的行
reason-few-words = 词太少
reason-few-sentences = 句子太少
reason-mean-word-length = 词的长度不寻常
reason-letters = 数字和符号多于文字
reason-alphabetic-words = 没有字母的词太多
reason-symbol-ratio = # 或 … 太多
reason-bullet-lines = 几乎每行都是列表项
reason-ellipsis-lines = 许多行以 … 截断
reason-curly-brackets = 有花括号，像程序
reason-lorem-ipsum = 填充文字（lorem ipsum）
reason-unended-lines = 几乎没有一行像句子那样结束
reason-short-lines = 大多数行很短
reason-line-breaks = 相对于词数，行太多
reason-duplicate-lines = 许多行重复
reason-duplicate-line-characters = 大部分文字在重复的行里
reason-duplicate-paragraphs = 许多段落重复
reason-duplicate-paragraph-characters = 大部分文字在重复的段落里
reason-top-ngram = 少数几个词反复出现
reason-duplicate-ngrams = 大部分文字是重复的短语
reason-stop-words = 几乎没有该语言的常用词
reason-word-order = 词序不像该语言
reason-gibberish = 字母顺序不像该语言
reason-word-list = 您的词表中的词太多
