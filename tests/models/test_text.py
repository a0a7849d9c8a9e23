"""Text encoders: vocabulary in the checkpoint, masks, real transformers on small files."""

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmengine.runner.checkpoint import get_state_dict
from transformers import BertConfig, BertModel, CLIPTextConfig, CLIPTextModel

from mango_mm.models.text import TransformersTextEncoder, Vocabulary, WordTextEncoder
from mango_mm.models.text.vocabulary import split_words

TEXTS = ['The cat sat on the mat.', "the cat's 12 mats, 1999", '', 'Élan vital — the cat']


def encoder(**options):
    model = WordTextEncoder(**{'dim': 8, 'num_heads': 2, 'vocabulary': {'size': 20}, **options})
    model.fit(TEXTS)
    return model


def test_words_are_lower_case_and_numbers_are_one_word():
    assert split_words("The Cat's 12 mats, 1999!") == ['the', "cat's", '0', 'mats', '0']
    assert split_words('Élan—vital_x') == ['élan', 'vital', 'x']
    assert split_words(' \n\t') == []


def test_the_most_frequent_words_are_known_ties_by_alphabet():
    vocabulary = Vocabulary(size=5, min_count=1)
    vocabulary.fit(['b b a c', 'a b'])
    assert vocabulary.index == {'b': 2, 'a': 3, 'c': 4}
    assert vocabulary.encode('a d B') == [3, 1, 2]
    with pytest.raises(ValueError, match='no word that occurs 9 times; got 1'):
        Vocabulary(min_count=9).fit(['x'])
    with pytest.raises(ValueError, match='larger than 2; got 2'):
        Vocabulary(size=2)


@given(st.lists(st.text(max_size=40), max_size=6))
def test_any_text_is_encoded_and_the_vocabulary_survives_a_checkpoint(texts):
    vocabulary = Vocabulary(size=30, min_count=1)
    vocabulary.fit([*texts, 'anchor'])
    again = Vocabulary(size=30)
    assert again.index == {}  # cached before the load
    again.load_state_dict(vocabulary.state_dict())
    assert again.index == vocabulary.index
    ids, mask = again(texts or [''], max_length=7)
    assert ids.shape == mask.shape
    assert (ids[~mask] == 0).all()
    assert (ids[mask] > 0).all()


def test_mmengines_checkpoint_and_the_safe_loader_carry_it(tmp_path):
    model = encoder()
    torch.save(get_state_dict(model), tmp_path / 'x.pth')
    again = WordTextEncoder(dim=8, num_heads=2, vocabulary={'size': 20})
    with pytest.raises(RuntimeError, match='vocabulary is empty: train with the hook'):
        again(['the cat'])
    again.load_state_dict(torch.load(tmp_path / 'x.pth', weights_only=True))
    again.fit(['entirely other other words words'])  # a checkpoint's vocabulary is kept
    assert again.vocabulary.index == model.vocabulary.index
    torch.testing.assert_close(again.eval()(TEXTS)[0], model.eval()(TEXTS)[0])


@pytest.mark.parametrize(('kind', 'tolerance'), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_a_text_does_not_depend_on_its_batch(kind, tolerance):
    model = encoder(max_length=5).to(kind).eval()
    together, mask = model(TEXTS)
    assert mask.sum(1).tolist() == [5, 5, 0, 4]
    for i, text in enumerate(TEXTS):
        alone, own = model([text])
        length = int(own.sum())
        torch.testing.assert_close(
            together[i, :length], alone[0, :length], rtol=tolerance, atol=tolerance
        )
    assert not together[2].any()  # the empty text is nothing, and no NaN
    together.sum().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


def test_only_strings_are_texts():
    with pytest.raises(TypeError, match='texts must be strings; got int'):
        encoder()([3])


# ---- transformers ----


@pytest.fixture(scope='module')
def bert(tmp_path_factory):
    folder = tmp_path_factory.mktemp('bert')
    words = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', 'the', 'cat', 'sat', 'mat', '##s', '.']
    (folder / 'vocab.txt').write_text('\n'.join(words))
    (folder / 'tokenizer_config.json').write_text(json.dumps({'tokenizer_class': 'BertTokenizer'}))
    config = BertConfig(
        vocab_size=len(words), hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=12,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope='module')
def clip(tmp_path_factory):
    folder = tmp_path_factory.mktemp('clip')
    letters = [*'acehmst', *(f'{c}</w>' for c in 'acehmst'), 'th', 'the</w>', '.</w>']
    vocabulary = {t: i for i, t in enumerate([*letters, '<|startoftext|>', '<|endoftext|>'])}
    (folder / 'vocab.json').write_text(json.dumps(vocabulary))
    (folder / 'merges.txt').write_text('#version: 0.2\nt h\nth e</w>\n')
    (folder / 'tokenizer_config.json').write_text(json.dumps({'tokenizer_class': 'CLIPTokenizer'}))
    config = CLIPTextConfig(
        vocab_size=len(vocabulary), hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=10, bos_token_id=len(vocabulary) - 2,
        eos_token_id=len(vocabulary) - 1,
    )  # fmt: skip
    CLIPTextModel(config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize('kind', ['bert', 'clip'])
def test_a_pretrained_folder_gives_its_models_tokens(kind, request):
    folder = request.getfixturevalue(kind)
    model = TransformersTextEncoder(str(folder)).eval()
    tokens, mask = model(['the cat sat', '', 'the'])
    assert model.out_dim == tokens.shape[2] == 8
    assert mask[1].sum() == 0
    assert not tokens[1].any()
    theirs = (BertModel if kind == 'bert' else CLIPTextModel).from_pretrained(folder).eval()
    encoded = model.tokenizer('the', return_tensors='pt')
    length = encoded['input_ids'].shape[1]
    assert int(mask[2].sum()) == length
    with torch.no_grad():
        wanted = theirs(**{k: encoded[k] for k in ('input_ids', 'attention_mask')})
    torch.testing.assert_close(
        tokens[2, :length], wanted.last_hidden_state[0], rtol=1e-4, atol=1e-5
    )
    long = model(['the cat sat ' * 20])[0]
    assert long.shape[1] == model.max_length  # cut, not an index error
    assert model.words('the cat')


def test_random_weights_and_frozen_ones(bert):
    torch.manual_seed(7)
    random = TransformersTextEncoder(str(bert), random_init=True)
    loaded = TransformersTextEncoder(str(bert), frozen=True)
    first, second = (m.model.embeddings.word_embeddings.weight for m in (random, loaded))
    assert (first - second).abs().max() > 1e-3
    assert not any(p.requires_grad for p in loaded.parameters())
    assert not loaded(['the cat'])[0].requires_grad


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(OSError, match=r'no text model in .* \(a folder\)'):
        TransformersTextEncoder(str(tmp_path))
